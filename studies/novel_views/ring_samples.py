"""Rings of views of one object by one model: Base, the cascade and the oracle, in one step and sampled.

Prompts are sampled once, a coarse target for each view. The noise of view i depends on (seed, object, i) alone, and is
the same for every method.
"""

from collections.abc import Iterator

import torch
from cascade_zero123.cascade.context import EncodedViews
from cascade_zero123.views import Cameras, Views
from jaxtyping import Float
from torch import Tensor

from studies.novel_views.held_out import Batch, prompt_cameras
from studies.novel_views.methods import (
    BASE,
    FULL,
    ORACLE,
    PROMPTS,
    ShownCascade,
    base_samples,
    both_kinds,
    true_columns,
)

Images = Float[Tensor, "view channel h w"]


def ring_methods(offsets_deg: tuple[tuple[float, float], ...] | None, coarse_target: bool) -> list[str]:
    """The cascade's is the method itself: what the model was trained for."""
    return [BASE, FULL if coarse_target else PROMPTS] + [ORACLE] * (true_columns(offsets_deg) is not None)


def ring_cameras(batch: Batch, views: int) -> Cameras:
    """At the elevation and distance of the one object's source, evenly all around; the first is the source's own."""
    source = batch.source.cameras[0]
    around = torch.arange(views, device=source.distance.device) * 360.0 / views
    return Cameras(source.elevation_deg.expand(views), source.azimuth_deg + around, source.distance.expand(views))


class RingSamples(ShownCascade):
    """Views all around one object by every method, from the same noise."""

    def __call__(self, batch: Batch, targets: Cameras) -> Iterator[tuple[str, str, Images]]:
        """Method, kind and ring, of the one object in `batch`."""
        noise = batch.noise(self.base, "ring", len(targets))
        for method, shown in self.contexts(batch, targets).items():
            model = self.base if method == BASE else self.refiner
            with torch.no_grad():
                seen = EncodedViews.of(model, shown).context(model, targets[:, None])
            for kind, ring in both_kinds(model, seen, noise, self.samplings.views, lambda passes: None).items():
                yield method, kind, ring

    @torch.no_grad()
    def contexts(self, batch: Batch, targets: Cameras) -> dict[str, Views]:
        """What is shown for each target, [target view]."""
        batch, count = batch.seen_by(self.base), len(targets)
        source, at = batch.source.repeat_each(count), prompt_cameras(batch, self.offsets_deg)
        prompts = base_samples(self.base, batch, at, "prompts", self.samplings.prompts).repeat_each(count)
        with_prompts = Views.join([source, prompts], dim=1)
        shown = {BASE: source}
        if self.coarse_target:
            coarse = base_samples(self.base, batch, targets[None], "ring coarse", self.samplings.prompts)
            shown[FULL] = Views.join([with_prompts, coarse.reshape(count, 1)], dim=1)
        else:
            shown[PROMPTS] = with_prompts
        columns = true_columns(self.offsets_deg)
        if columns is not None:
            nearby = Views(batch.nearby.pictures[:, columns], at).repeat_each(count)
            shown[ORACLE] = Views.join([source, nearby], dim=1)
        return shown
