"""Variants of a mesh for training: few things made by people have to stand for many.

A variant is mirrored or not, stretched along its own axes, its materials recoloured. What is drawn depends on the
generator alone.
"""

import numpy as np
import trimesh
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from trimesh.visual.material import PBRMaterial

from threestudio.mesh.renderer import base_colour

STRETCH = 0.25  # of the logarithm of each axis' scale, at most
RECOLOURED = 0.5  # of the variants; within one, each material with the same probability
GAIN = (0.5, 1.4)
TEXTURE_SIDE = 256  # pixels: the views are small


def stretched(scene: trimesh.Scene, rng: np.random.Generator) -> trimesh.Scene:
    """A variant of a z-up scene; its box is centred again and its largest side is 1."""
    parts = [mesh.copy() for mesh in scene.dump()]
    scale = np.exp(rng.uniform(-STRETCH, STRETCH, 3))
    scale[1] *= rng.choice((-1.0, 1.0))
    recoloured = rng.uniform() < RECOLOURED
    for mesh in parts:
        mesh.apply_transform(np.diag([*scale, 1.0]))
        if recoloured and rng.uniform() < RECOLOURED:
            recolour(mesh, rng)
    result = trimesh.Scene(parts)
    result.apply_transform(trimesh.transformations.translation_matrix(-result.bounds.mean(axis=0)))
    result.apply_transform(np.diag([*(1.0 / result.extents.max(),) * 3, 1.0]))
    return result


def recolour(mesh: trimesh.Trimesh, rng: np.random.Generator) -> None:
    """Turns hues and changes the strength of each channel; a plain colour may become any other."""
    change = channel_change(rng)
    material = getattr(mesh.visual, "material", None)
    texture = getattr(material, "baseColorTexture", None)
    if texture is not None:
        texture = texture.convert("RGB")
        texture.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.BOX)
        pixels = np.clip(np.asarray(texture, np.float32) @ change.T, 0, 255)
        pbr = PBRMaterial(baseColorTexture=Image.fromarray(pixels.astype(np.uint8)))
    else:
        colour = base_colour(material, 0.7) if rng.uniform() < 0.5 else rng.uniform(0, 1, 3)
        pbr = PBRMaterial(baseColorFactor=np.append(np.clip(change @ colour, 0, 1) * 255, 255).astype(np.uint8))
    mesh.visual = trimesh.visual.TextureVisuals(uv=getattr(mesh.visual, "uv", None), material=pbr)


def channel_change(rng: np.random.Generator) -> Float[ndarray, "3 3"]:
    """A permutation of the channels, each with a gain of its own."""
    return np.eye(3)[rng.permutation(3)] * rng.uniform(*GAIN, 3)[:, None]
