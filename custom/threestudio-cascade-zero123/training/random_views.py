"""Rendered views whose cameras stand at random, as in Zero-1-to-3's Objaverse renderings, read when they are drawn.

Objects may be broken: files missing or truncated, a camera that is none, another number of views than the others,
nothing to be seen in any view. Another object then takes the place of the broken one, never zeros. Which one follows
from the files, the object and the views asked for, so that all processes and a resumed run see the same.
"""

import math
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from numpy import ndarray
from torch import Tensor

from ..common.errors import UserError
from ..views import Cameras
from ..zero123.pose import pose_from_world_to_camera
from .broken_objects import BrokenObjects
from .view_files import BrokenView, ViewFiles, decode_camera, decode_rgba, why_incomplete

TRIES = 100  # objects in a row
LISTED = 100  # objects that tell how many views one has
READS_AT_ONCE = min(8, os.cpu_count() or 1)
REMEMBERED = 4096  # rows whose cameras are kept, so that `cameras_of` after `rgba` decodes nothing again


@dataclass(frozen=True)
class Row:
    """Views of one object, and which were found broken before it."""

    index: int
    rgba: UInt8[ndarray, "k h w 4"]
    cameras: Float32[ndarray, "k 3 4"]
    broken: list[tuple[int, str, str]]  # index, name and reason


class RandomViews:
    """The interface of `PackedViews`; ask `rgba` and `cameras_of` for the same views, since a broken view counts where
    it is asked for. `image_size` None is that of the first object."""

    def __init__(self, files: ViewFiles, image_size: int | None = None, has_nearby_views: bool = False) -> None:
        if not len(files):
            raise UserError(
                f"{files.place}: no rendered views in it; expected <id>/000.png and 000.npy, *.tar with such files, or "
                "images.npy and cameras.npy (scripts/render_views.py)"
            )
        self.files, self.has_nearby_views = files, has_nearby_views
        self.broken = BrokenObjects(files.place)
        self.image_size = image_size
        self.view_count = self._usual_view_count()
        if self.view_count < 2:
            raise UserError(f"{files.place}: {self.view_count} view(s) an object; at least 2 make a pair")
        self._cameras: dict[tuple[int, ...], Float32[ndarray, "k 3 4"]] = {}
        if image_size is None:
            self.image_size = self._rows([(0, 0)])[0].rgba.shape[1]

    def __len__(self) -> int:
        return len(self.files)

    def rgba(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Float[Tensor, "b k 4 h w"]:
        """Straight alpha, in [0, 1]."""
        rows = self._rows(_requests(objects, views))
        return torch.from_numpy(np.stack([row.rgba for row in rows])).movedim(-1, 2).float() / 255.0

    def cameras_of(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Cameras:
        """[b k]."""
        requests = _requests(objects, views)
        unknown = [request for request in requests if request not in self._cameras]
        known = {request: self._cameras[request] for request in requests if request in self._cameras}
        known |= {request: row.cameras for request, row in zip(unknown, self._rows(unknown), strict=True)}
        cameras = torch.from_numpy(np.concatenate([known[request] for request in requests]))
        return pose_from_world_to_camera(cameras).reshape(*views.shape)

    def _rows(self, requests: Sequence[tuple[int, ...]]) -> list[Row]:
        """For each (object, *views) the views, of that object or of the one in its place."""
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            rows = list(pool.map(self._row, requests))
        broken = [one for row in rows for one in row.broken]
        self.broken.record({row.index for row in rows}, broken, len(self))
        if len(self._cameras) > REMEMBERED:
            self._cameras.clear()
        self._cameras.update({request: row.cameras for request, row in zip(requests, rows, strict=True)})
        return rows

    def _row(self, request: tuple[int, ...]) -> Row:
        first, *views = request
        broken: list[tuple[int, str, str]] = []
        for index in places_of(first, len(self)):
            try:
                return Row(index, *self._read(index, views), broken)
            except BrokenView as reason:
                broken.append((index, self.files.name(index), str(reason)))
        self.broken.record([], broken, len(self))
        last = ": ".join(broken[-1][1:])
        raise UserError(f"{self.files.place}: {len(broken)} objects in a row are broken, the last {last}; restore them")

    def _read(self, index: int, views: list[int]) -> tuple[UInt8[ndarray, "k h w 4"], Float32[ndarray, "k 3 4"]]:
        """Raises BrokenView."""
        incomplete = why_incomplete(self.files.files(index), self.view_count)
        if incomplete:
            raise BrokenView(incomplete)
        pictures = [self._picture(index, view) for view in views]
        if not any(picture[..., 3].any() for picture in pictures) and not any(
            self._picture(index, view)[..., 3].any() for view in range(self.view_count)
        ):
            raise BrokenView("fully transparent in all views")
        cameras = [decode_camera(file, self.files.read(index, file)) for file in (f"{view:03d}.npy" for view in views)]
        return np.stack(pictures), np.stack(cameras)

    def _picture(self, index: int, view: int) -> UInt8[ndarray, "h w 4"]:
        file = f"{view:03d}.png"
        return decode_rgba(file, self.files.read(index, file), self.image_size)

    def _usual_view_count(self) -> int:
        """The most frequent number of views; of equally frequent ones the larger."""
        some = np.linspace(0, len(self) - 1, min(LISTED, len(self))).astype(int).tolist()
        counts = Counter(len({file[:3] for file in self.files.files(index)}) for index in some)
        return max(counts, key=lambda count: (counts[count], count))


def places_of(first: int, total: int) -> list[int]:
    """An object and what takes its place, in this order; far apart, since neighbours often break together."""
    stride = next(n for n in range(max(1, round(0.618 * total)), total + 2) if math.gcd(n, total) == 1)
    return [(first + step * stride) % total for step in range(min(TRIES, total))]


def _requests(objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> list[tuple[int, ...]]:
    return list(map(tuple, torch.cat([objects[:, None], views], dim=1).tolist()))
