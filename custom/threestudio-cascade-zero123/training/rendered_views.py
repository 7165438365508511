"""Rendered views of objects, and the draws of source, target and context views from them.

They lie in a folder for each object or in shards, as Zero-1-to-3's do (`random_views.py`), or packed. Packed layout
(`scripts/render_views.py --packed`): `images.npy` uint8 [object view h w 4] with straight alpha and `cameras.npy`
float32 [object view 3 4] world-to-camera, both memory-mapped. In the `cascade` layout view 0 is a source view and views
1 to 3 lie at the paper's nearby poses relative to it.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..cascade.stages import NEARBY_DEG
from ..common.errors import UserError
from ..common.project import advice
from ..views import Cameras
from ..zero123.pose import pose_from_world_to_camera
from .packed_files import META, open_cameras, open_images, read_meta
from .random_views import RandomViews
from .view_files import resized
from .view_folders import ViewFolders
from .view_shards import ViewShards, shard_paths, shards_in

NEARBY_VIEWS = tuple(range(1, 1 + len(NEARBY_DEG)))
RATIO_JITTER = 0.08  # of the object's size in the source
PALEST = 0.9  # of the way to white, so that some shading is left


class PackedViews:
    """The memory-mapped arrays; `image_size` None is the size that they have."""

    has_nearby_views = True

    def __init__(self, folder: str, image_size: int | None = None) -> None:
        _refuse_unfinished_or_random(Path(folder))
        self.images = open_images(Path(folder) / "images.npy")
        self.cameras = open_cameras(Path(folder) / "cameras.npy", self.images.shape[:2])
        self.image_size = image_size or self.images.shape[2]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def view_count(self) -> int:
        return self.images.shape[1]

    def rgba(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Float[Tensor, "b k 4 h w"]:
        """Straight alpha, in [0, 1]."""
        pixels = self.images[objects.numpy()[:, None], views.numpy()]
        if pixels.shape[2] != self.image_size:
            pixels = np.stack([[resized(view, self.image_size) for view in row] for row in pixels])
        return torch.from_numpy(pixels).movedim(-1, 2).float() / 255.0

    def cameras_of(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Cameras:
        """[b k]."""
        cameras = torch.from_numpy(self.cameras[objects.numpy()[:, None], views.numpy()])
        return pose_from_world_to_camera(cameras.flatten(0, 1)).reshape(*views.shape)


RenderedViews = PackedViews | RandomViews


def open_views(place: str, image_size: int | None = None) -> RenderedViews:
    """Rendered views in whatever layout lies there, at `image_size` pixels (None: as they are).

    `place` is a folder of packed arrays, of `<id>/000.png` and `.npy`, or of WebDataset shards; or shards by their
    names: `data/shards/{000000..000127}.tar`.
    """
    folder = Path(place)
    if not place:
        raise UserError("no rendered views are named; set data.train_folder and data.val_folder")
    if any((folder / name).exists() for name in ("images.npy", "cameras.npy")):
        return PackedViews(place, image_size)
    if not folder.is_dir() and not ("{" in place or folder.suffix == ".tar"):
        raise UserError(f"{place}: no such folder; {advice('render_views.py', 'makes one', 'name one that is there')}")
    shards = shards_in(folder) if folder.is_dir() else shard_paths(place)
    files = ViewShards(place, shards) if shards else ViewFolders(folder)
    return RandomViews(files, image_size, _in_cascade_layout(shards[0].parent if shards else folder))


def _in_cascade_layout(folder: Path) -> bool:
    """Whether scripts/render_views.py has left there that it made the cascade layout."""
    meta = folder / META
    return meta.exists() and read_meta(folder).get("layout") == "cascade"


def _refuse_unfinished_or_random(folder: Path) -> None:
    """By what scripts/render_views.py leaves: done.npy until all is rendered, then meta.json."""
    meta = folder / META
    if not meta.exists() and (folder / "done.npy").exists():
        raise UserError(
            f"{folder}: not all of it is rendered; run scripts/render_views.py again with the same arguments"
        )
    layout = read_meta(folder).get("layout", "cascade")
    if layout != "cascade":
        raise UserError(f"{folder}: views in layout {layout}; make them with scripts/render_views.py --layout cascade")


def draw_views(
    count: int, view_count: int, context: int, source_first_probability: float, generator: torch.Generator
) -> Int[Tensor, "b view"]:
    """Columns: source, target, then `context` further views, all different within a row.

    The source is view 0 (a likely photograph) with the given probability, else any. Half of the rows whose source is
    view 0 get the nearby views as context, as far as the target leaves them.
    """
    order = torch.rand(count, view_count, generator=generator).argsort(dim=1)
    first = torch.rand(count, generator=generator) < source_first_probability
    order = _move_to_front(order, torch.zeros(count, 1, dtype=torch.long), first)
    nearby = first & (torch.rand(count, generator=generator) < 0.5)
    source_and_target, rest = order[:, :2], order[:, 2:]
    is_nearby = torch.isin(rest, torch.tensor(NEARBY_VIEWS))
    rank = torch.rand(rest.shape, generator=generator) - 2.0 * (is_nearby & nearby[:, None])
    rest = rest.gather(1, rank.argsort(dim=1))
    return torch.cat([source_and_target, rest[:, :context]], dim=1)


def _move_to_front(order: Int[Tensor, "b view"], value: Int[Tensor, "b 1"], where: Tensor) -> Int[Tensor, "b view"]:
    rank = torch.arange(order.shape[1]).expand_as(order).clone()
    rank[(order == value) & where[:, None]] = -1
    return order.gather(1, rank.argsort(dim=1))


def augment(
    rgba: Float[Tensor, "b k 4 h w"],
    azimuth_deg: Float[Tensor, "b k"],
    object_ratio: float,
    zoom_range: tuple[float, float],
    generator: torch.Generator,
) -> tuple[Float[Tensor, "b k 4 h w"], Float[Tensor, "b k"]]:
    """The same mirror image, channel permutation and zoom for all views of an object.

    A mirrored object seen from the mirrored azimuth is the mirrored picture; a zoom is a scaled object, up to the weak
    perspective of a 20 degree field of view. The zoom brings the object in the source (the first view) to about
    `object_ratio`, as pictures are prepared, as far as `zoom_range` lets it.
    """
    draw = torch.rand(len(rgba), 6, generator=generator)
    mirrored, permuted = draw[:, 0] < 0.5, draw[:, 1] < 0.5
    rgba = torch.where(mirrored[:, None, None, None, None], rgba.flip(-1), rgba)
    azimuth_deg = torch.where(mirrored[:, None], -azimuth_deg, azimuth_deg)
    permutation = torch.where(permuted[:, None], draw[:, 2:5].argsort(dim=1), torch.arange(3))
    channels = torch.cat([permutation, torch.full((len(rgba), 1), 3)], dim=1)
    rgba = rgba.gather(2, channels[:, None, :, None, None].expand_as(rgba))
    wanted = object_ratio * (1.0 + RATIO_JITTER * (2.0 * draw[:, 5] - 1.0))
    return zoom(rgba, (wanted / extent(rgba[:, 0, 3])).clamp(*zoom_range)), azimuth_deg


def paled(
    rgba: Float[Tensor, "b k 4 h w"], probability: float, generator: torch.Generator
) -> Float[Tensor, "b k 4 h w"]:
    """Some objects in all their views with every colour moved towards white, by the same share."""
    draw = torch.rand(len(rgba), 2, generator=generator)
    share = torch.where(draw[:, 0] < probability, PALEST * draw[:, 1], 0.0)[:, None, None, None, None]
    return torch.cat([torch.lerp(rgba[:, :, :3], torch.ones(()), share), rgba[:, :, 3:]], dim=2)


def extent(alpha: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Larger side of the object's box over the image side; 1 where there is no object."""
    inside = alpha > 0.5
    sides = []
    for axis, length in ((1, alpha.shape[2]), (2, alpha.shape[1])):
        along = inside.any(dim=axis).float()
        first = along.argmax(dim=1)
        last = length - 1 - along.flip(1).argmax(dim=1)
        sides.append((last - first + 1).float() / length)
    return torch.stack(sides).amax(dim=0)


def zoom(rgba: Float[Tensor, "b k 4 h w"], factor: Float[Tensor, "b"]) -> Float[Tensor, "b k 4 h w"]:
    """Magnify about the centre; premultiplied, so that no colour bleeds from transparent pixels."""
    views = rgba.shape[1]
    premultiplied = torch.cat([rgba[:, :, :3] * rgba[:, :, 3:], rgba[:, :, 3:]], dim=2).flatten(0, 1)
    theta = torch.zeros(len(premultiplied), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = (1.0 / factor).repeat_interleave(views)
    grid = F.affine_grid(theta, list(premultiplied.shape), align_corners=False)
    premultiplied = F.grid_sample(premultiplied, grid, align_corners=False).unflatten(0, rgba.shape[:2])
    alpha = premultiplied[:, :, 3:]
    return torch.cat([premultiplied[:, :, :3] / alpha.clamp_min(1e-4), alpha], dim=2)
