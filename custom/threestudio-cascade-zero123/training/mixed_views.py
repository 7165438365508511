"""Several sets of rendered views as one: a batch draws from each set in its share, however many objects that has.

Objects are numbered through, set by set, so that those drawn are asked for as of a single set.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.errors import UserError
from ..views import Cameras
from .random_views import RandomViews
from .rendered_views import PackedViews

OneSet = PackedViews | RandomViews


class MixedViews:
    """The interface of one set; `shares` are relative to each other, one a set."""

    def __init__(self, sets: Sequence[OneSet], shares: Sequence[float]) -> None:
        counts = {views.view_count for views in sets}
        if len(counts) > 1:
            raise UserError(f"data.mixed_with: {sorted(counts)} views an object; render all sets with the same --views")
        self.sets, self.shares = list(sets), torch.tensor(shares, dtype=torch.float64)
        self.view_count = counts.pop()
        self.has_nearby_views = all(views.has_nearby_views for views in sets)
        self.first = torch.tensor([0, *(len(views) for views in sets)]).cumsum(0)

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def broken(self) -> list[int] | None:
        """Those noticed so far; None where no set can have some."""
        looked_for = [views.broken.found for views in self.sets if isinstance(views, RandomViews)]
        return [index for found in looked_for for index in found] if looked_for else None

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, "b"]:
        """Objects: for each a set by the shares, then one of that set, evenly."""
        chosen = torch.multinomial(self.shares, count, replacement=True, generator=generator)
        within = torch.rand(count, generator=generator, dtype=torch.float64)
        return self.first[chosen] + (within * self.first.diff()[chosen]).long()

    def rgba(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Float[Tensor, "b k 4 h w"]:
        """Straight alpha, in [0, 1]."""
        parts = [(rows, own.rgba(of_own, views[rows])) for own, of_own, rows in self._parts(objects)]
        return _put_together(parts)

    def cameras_of(self, objects: Int[Tensor, "b"], views: Int[Tensor, "b k"]) -> Cameras:
        """[b k]."""
        parts = [
            (rows, own.cameras_of(of_own, views[rows]).as_tensor().movedim(0, -1))
            for own, of_own, rows in self._parts(objects)
        ]
        return Cameras.from_tensor(_put_together(parts).movedim(-1, 0))

    def _parts(self, objects: Int[Tensor, "b"]) -> Iterator[tuple[OneSet, Int[Tensor, "part"], Int[Tensor, "part"]]]:
        """Each set that is asked for, with its objects by its own numbers and their places in `objects`."""
        of_set = torch.bucketize(objects, self.first[1:], right=True)
        for index in of_set.unique().tolist():
            rows = (of_set == index).nonzero()[:, 0]
            yield self.sets[index], objects[rows] - self.first[index], rows


def _put_together(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The values of each part, back in the places that they are for."""
    places = torch.cat([rows for rows, _ in parts])
    return torch.cat([values for _, values in parts])[places.argsort()]
