"""The objects of the sample pictures in `load/images`: their true meshes can be made again by name."""

import trimesh

from . import make_object

# Seeds of the test split, so that no training object equals a sample; chosen by looking.
SAMPLES = {"cat": ("sitting_cat", 2_000_500_022), "teapot": ("teapot", 2_000_500_021), "bird": ("bird", 2_000_500_002)}
# Fine enough for pictures of 512 px, where the 64 px meshes would show their facets.
SAMPLE_DETAIL = 12.0


def make_sample(name: str, detail: float = SAMPLE_DETAIL, texture_size: int | None = None) -> trimesh.Trimesh:
    family, seed = SAMPLES[name]
    return make_object(seed, family, detail, texture_size)
