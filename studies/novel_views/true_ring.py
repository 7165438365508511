"""The true ring of a generated object, rendered again as scripts/render_views.py rendered the test set.

It is taken only if the source view so rendered is the one that lies in the set; otherwise there is no truth.
"""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from cascade_zero123.zero123.white import on_white
from jaxtyping import Float
from torch import Tensor

from studies.objects import make_object, object_seed
from studies.rendering.views import view_angles
from threestudio.cameras import orbit
from threestudio.mesh.renderer import render_mesh

NEEDED = (
    *("split", "seed", "detail"),
    *("views", "layout", "distance", "elevation_range"),
    *("size", "fovy_deg", "supersample", "shading"),
)
LARGEST_DIFFERENCE = 2.0  # mean, of 255 levels


class TrueRings:
    """Of the objects of a folder of packed views; `why_not` says what is missing, for all of them."""

    def __init__(self, folder: Path) -> None:
        meta = folder / "meta.json"
        self.given = json.loads(meta.read_text(encoding="utf-8")) if meta.is_file() else {}
        missing = [key for key in NEEDED if key not in self.given]
        self.why_not = f"No true rings: {meta} does not say {missing[0]} of generated objects." if missing else ""
        self.options = Namespace(**self.given)
        self.images = np.load(folder / "images.npy", mmap_mode="r")

    def __call__(self, number: int, c2w: Float[Tensor, "view 4 4"]) -> Float[Tensor, "view 3 h w"] | None:
        """In [0, 1] on white; None where the object, rendered again, is not the one in the set."""
        if self.why_not:
            return None
        seed = object_seed(self.options.split, number)
        generator = np.random.default_rng([self.options.seed, seed, 2])
        angles = view_angles(self.options, generator)
        light = generator.uniform(-180.0, 180.0)
        views = torch.cat([orbit(*torch.from_numpy(angles[:1]).T), c2w.double()])
        o = self.options
        mesh = make_object(seed, detail=o.detail)
        pixels = render_mesh(mesh, views, o.fovy_deg, o.size, o.size, o.supersample, o.shading, light)
        if np.abs(pixels[0].astype(float) - self.images[number, 0]).mean() > LARGEST_DIFFERENCE:
            return None
        return on_white(torch.from_numpy(pixels[1:]).movedim(-1, 1).float() / 255)
