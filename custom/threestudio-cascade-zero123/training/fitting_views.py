"""Rendered views as a model needs them: at its picture size, and seen by its camera."""

from collections.abc import Sequence
from pathlib import Path

from ..common.errors import UserError
from ..zero123.model import Settings
from .batches import RenderedViewsConfig
from .mixed_views import MixedViews
from .packed_files import META, read_meta
from .rendered_views import RenderedViews, open_views

FOVY_TOLERANCE_DEG = 0.5
DISTANCE_TOLERANCE = 0.01


def training_set(settings: Settings, cfg: RenderedViewsConfig) -> RenderedViews | MixedViews:
    """`train_folder`, alone or mixed with others."""
    first = views_for(settings, cfg.train_folder, cfg.image_size)
    others = checked_shares(cfg.mixed_with)
    if not others:
        return first
    sets = [first, *(views_for(settings, folder, cfg.image_size) for folder, _ in others)]
    shares = [share for _, share in others]
    return MixedViews(sets, [1.0 - sum(shares), *shares])


def checked_shares(mixed_with: Sequence) -> list[tuple[str, float]]:
    try:
        pairs = [(str(folder), float(share)) for folder, share in mixed_with]
    except (TypeError, ValueError):
        raise UserError(f"data.mixed_with: {mixed_with} is not a list of [folder, share]") from None
    if any(share <= 0 for _, share in pairs) or sum(share for _, share in pairs) >= 1:
        raise UserError(
            f"data.mixed_with: {mixed_with}; expected shares above 0 that leave some objects to data.train_folder"
        )
    return pairs


def views_for(settings: Settings, place: str, image_size: int | None) -> RenderedViews:
    """The views in `place`, resized to the model's size; `image_size` is what the user asks for, if anything."""
    if image_size not in (None, settings.image_size):
        raise UserError(
            f"data.image_size: {image_size}, but the model's pictures have {settings.image_size} pixels; leave it out, "
            "views are resized to that"
        )
    views = open_views(place, settings.image_size)
    refuse_other_camera(Path(place) if Path(place).is_dir() else Path(place).parent, settings)
    return views


def refuse_other_camera(folder: Path, settings: Settings) -> None:
    """By what scripts/render_views.py has left there; other renderings do not say what camera they are of."""
    meta, stated = folder / META, read_meta(folder)
    fovy_deg, (nearest, farthest) = stated.get("fovy_deg"), stated.get("distance", (0, float("inf")))
    slack = DISTANCE_TOLERANCE * settings.camera_distance
    if fovy_deg is not None and abs(fovy_deg - settings.fovy_deg) > FOVY_TOLERANCE_DEG:
        found, wanted = f"field of view of {fovy_deg:g} degrees", f"{settings.fovy_deg:g}"
    elif not nearest - slack <= settings.camera_distance <= farthest + slack:
        found, wanted = f"distance of {nearest:g} to {farthest:g}", f"{settings.camera_distance:g}"
    else:
        return
    raise UserError(
        f"{meta}: rendered with a {found}, the model's is {wanted}; render with --fovy-deg {settings.fovy_deg:g} and "
        f"a --distance that covers {settings.camera_distance:g}, or have the model's settings state this camera"
    )
