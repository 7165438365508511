"""Hostile inputs as hypothesis draws them: pictures, YAML, overrides and checkpoints."""

import io
import zipfile

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image

from threestudio.utils.config import ExperimentConfig

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, -1, 1, 10**30, 0.5, float("nan"), float("inf")]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
VALUES = st.recursive(
    SCALARS, lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(st.text(max_size=8), part, max_size=4))
)
# Lines of YAML that are nearly right, and any text at all.
KEYS = st.sampled_from(
    [*ExperimentConfig.__dataclass_fields__, "data.image_path", "<<", "${x}", "&a", "*a", "!!python/x"]
)
LINES = st.builds(
    "{}: {}".format, KEYS, st.one_of(st.text(max_size=40), st.sampled_from(["[", "{", "${seed}", "|", ">-"]))
)
YAMLS = st.one_of(st.text(max_size=400), st.lists(LINES, max_size=8).map("\n".join), st.binary(max_size=200))
FORMATS = {"CMYK": ("JPEG", "TIFF"), "P": ("PNG", "GIF"), "LA": ("PNG",), "RGBA": ("PNG", "WEBP")}
NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=60)


@st.composite
def pictures(draw) -> bytes:
    """A small picture of any mode, size and format, and perhaps some of its bytes changed or cut off."""
    mode = draw(st.sampled_from(["RGBA", "RGB", "L", "LA", "P", "1", "CMYK", "I;16"]))
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    image = Image.fromarray(np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, (*size, 4), np.uint8))
    image = Image.new("I;16", size, 300) if mode == "I;16" else image.convert(mode)
    if mode == "RGBA" and draw(st.booleans()):
        image.putalpha(draw(st.integers(0, 255)))
    formats = {
        "CMYK": ["JPEG", "TIFF"],
        "I;16": ["PNG", "TIFF"],
        "P": ["PNG", "GIF"],
        "LA": ["PNG"],
        "RGBA": ["PNG", "WEBP"],
    }
    file = io.BytesIO()
    image.save(file, draw(st.sampled_from(formats.get(mode, ["PNG", "TIFF"]))))
    return damaged(draw, file.getvalue())


@st.composite
def checkpoints(draw, whole: dict) -> bytes:
    """A run's checkpoint with one part replaced or gone, and perhaps some of its bytes changed or cut off."""
    changed, part = dict(whole), draw(st.sampled_from(sorted(whole)))
    if draw(st.booleans()):
        del changed[part]
    else:
        changed[part] = draw(VALUES)
    file = io.BytesIO()
    torch.save(changed, file)
    content = file.getvalue()
    if draw(st.booleans()):
        return damaged(draw, content)
    if draw(st.booleans()):
        return deflated(content)
    return content


def damaged(draw, content: bytes) -> bytes:
    kind = draw(st.sampled_from(["whole", "cut", "changed", "longer"]))
    if kind == "cut":
        return content[: draw(st.integers(0, len(content)))]
    if kind == "changed":
        changed = bytearray(content)
        for _ in range(draw(st.integers(1, 8))):
            changed[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        return bytes(changed)
    return content + draw(st.binary(max_size=64)) if kind == "longer" else content


def deflated(content: bytes) -> bytes:
    """The same archive, compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    return file.getvalue()
