"""Samples along rays, packed: only those that matter, ray after ray."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class RaySamples:
    """Sample i covers [starts[i], ends[i]] of ray `rays[i]`; `rays` never decreases, distances in a ray increase."""

    rays: Int[Tensor, "sample"]
    starts: Float[Tensor, "sample"]
    ends: Float[Tensor, "sample"]

    @property
    def middles(self) -> Float[Tensor, "sample"]:
        """Distances along the ray, halfway between a sample's ends."""
        return 0.5 * (self.starts + self.ends)

    def positions(
        self, origins: Float[Tensor, "ray 3"], directions: Float[Tensor, "ray 3"]
    ) -> Float[Tensor, "sample 3"]:
        return torch.addcmul(
            origins.index_select(0, self.rays), directions.index_select(0, self.rays), self.middles[:, None]
        )

    @property
    def ranks(self) -> Int[Tensor, "sample"]:
        """Each sample's place on its ray, from 0."""
        index = torch.arange(len(self.rays), device=self.rays.device)
        if not len(index):
            return index
        is_first = torch.ones_like(self.rays, dtype=torch.bool)
        is_first[1:] = self.rays[1:] != self.rays[:-1]
        return index - torch.where(is_first, index, 0).cummax(dim=0).values

    def where(self, keep: Bool[Tensor, "sample"] | Int[Tensor, "kept"]) -> "RaySamples":
        return RaySamples(self.rays[keep], self.starts[keep], self.ends[keep])

    def or_one_of_length_zero(self) -> "RaySamples":
        """Losses average over samples, so there has to be one; of length zero it weighs nothing."""
        if len(self.rays):
            return self
        nothing = self.starts.new_zeros(1)
        return RaySamples(self.rays.new_zeros(1), nothing, nothing)


def concatenate(parts: list[RaySamples]) -> RaySamples:
    """Of several sets of rays, in their order."""
    return RaySamples(
        torch.cat([part.rays for part in parts]),
        torch.cat([part.starts for part in parts]),
        torch.cat([part.ends for part in parts]),
    )
