"""Held-out objects in batches: source, true nearby views and one target of each, and the noise of its samples.

Source is view 0; the target is drawn among the views that are neither it nor nearby. Every draw depends on (seed,
object) and what it is for, never on the batch, so that all rows of all models are paired. Views are [object view].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from cascade_zero123.cascade.cache import weights_fingerprint
from cascade_zero123.cascade.stages import NEARBY_DEG
from cascade_zero123.common.errors import UserError
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.rendered_views import NEARBY_VIEWS, PackedViews
from cascade_zero123.views import Cameras, Views
from cascade_zero123.zero123.model import Zero123
from cascade_zero123.zero123.white import as_seen
from jaxtyping import Float
from torch import Tensor

RANDOM_ELEVATIONS_DEG = (-10.0, 60.0)  # of random prompt views: those of the training views


@dataclass(frozen=True)
class Batch:
    """`numbers` are the objects' places in the data set, `targets` the columns of their target views."""

    numbers: list[int]
    targets: list[int]
    views: Views  # [object view]: source, nearby ones, target
    seed: int

    def seen_by(self, model: Zero123) -> "Batch":
        """With the channels that it has eyes for."""
        return replace(self, views=Views(self.views.pictures[:, :, : model.channels], self.views.cameras))

    @property
    def source(self) -> Views:
        """[object 1]."""
        return self.views[:, :1]

    @property
    def nearby(self) -> Views:
        """[object near]: the true ones."""
        return self.views[:, 1:-1]

    @property
    def target(self) -> Views:
        """[object 1]: the truth."""
        return self.views[:, -1:]

    def noise(self, model: Zero123, purpose: str, views: int = 1) -> Float[Tensor, "row c h w"]:
        """Of each object for so many views in a row; drawn on the CPU, so that every device starts from the same."""
        shape = (views, *model.latent_shape)
        draws = [torch.randn(shape, generator=draw_generator(self.seed, purpose, number)) for number in self.numbers]
        return torch.cat(draws).to(self.views.pictures.device)


class HeldOut:
    """Packed views in the cascade layout; `image_size` None is the size that they have."""

    def __init__(self, folder: Path, seed: int, device: str = "cpu", image_size: int | None = None) -> None:
        self.folder, self.seed, self.device = folder, seed, device
        self.views = PackedViews(str(folder), image_size)
        if self.views.view_count <= 1 + len(NEARBY_VIEWS):
            raise UserError(
                f"{folder}: {self.views.view_count} views an object; a target beside the source and the "
                f"{len(NEARBY_VIEWS)} nearby ones is needed (scripts/render_views.py --views 12)"
            )

    def __len__(self) -> int:
        return len(self.views)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.views.image_size

    def fingerprint(self) -> str:
        return weights_fingerprint([self.folder / "images.npy", self.folder / "cameras.npy"])

    def batches(self, numbers: Sequence[int], at_once: int) -> Iterator[Batch]:
        for first in range(0, len(numbers), at_once):
            yield self.batch(list(numbers[first : first + at_once]))

    def batch(self, numbers: list[int]) -> Batch:
        targets = [self.target(number) for number in numbers]
        columns = torch.tensor([[0, *NEARBY_VIEWS, target] for target in targets])
        objects = torch.tensor(numbers)
        pictures = as_seen(self.views.rgba(objects, columns), 4)
        views = Views(pictures, self.views.cameras_of(objects, columns)).to(self.device)
        return Batch(numbers, targets, views, self.seed)

    def target(self, number: int) -> int:
        first = 1 + len(NEARBY_VIEWS)
        generator = draw_generator(self.seed, "target", number)
        return first + int(torch.randint(self.views.view_count - first, (), generator=generator))


def prompt_cameras(batch: Batch, offsets_deg: Sequence[tuple[float, float]] | None) -> Cameras:
    """[object prompt]: of the prompt views; None draws as many as the method has, over the whole upper side."""
    source = batch.source.cameras
    if offsets_deg is not None:
        cameras = source.beside(offsets_deg)
        if bool((cameras.elevation_deg.abs() > 90).any()):
            worst = float(cameras.elevation_deg.abs().max())
            raise UserError(
                f"prompt views {offsets_deg} lead to an elevation of {worst:g} deg; keep them within -90..90"
            )
        return cameras
    azimuth, elevation = (angles.to(source.distance) for angles in _random_angles(batch))
    return Cameras(elevation, source.azimuth_deg + azimuth, source.distance.expand_as(azimuth))


def _random_angles(batch: Batch) -> tuple[Float[Tensor, "b prompt"], Float[Tensor, "b prompt"]]:
    """Azimuth from the source and elevation from the horizon, in degrees."""
    draws = torch.stack(
        [torch.rand(2, len(NEARBY_DEG), generator=draw_generator(batch.seed, "prompt poses", n)) for n in batch.numbers]
    )
    low, high = RANDOM_ELEVATIONS_DEG
    return 360 * draws[:, 0] - 180, low + (high - low) * draws[:, 1]
