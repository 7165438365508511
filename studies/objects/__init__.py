"""Objects that this project generates itself, by small seeded grammars: what the bundled model is trained on.

`make_object(object_seed("train", 0))` gives a coloured mesh: z up, front (of what has one) towards +x with a modest
random yaw, bounding box centred at the origin with largest side 1. One seed always gives the same object; `detail`
changes the fineness of the mesh only. Splits are disjoint ranges of seeds: the index plus 0 for train, 10^9 for val,
2 * 10^9 for test.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import trimesh

from . import (
    animals,
    birds_and_fish,
    buildings,
    figures,
    free,
    fruit,
    furniture,
    pastry,
    plants,
    sitters,
    tools,
    toys,
    vehicles,
    vessels,
)
from .sculptor import Sculptor
from .shapes import Part, joined_faces, rotation
from .texture import textured

Grammar = Callable[[Sculptor], list[Part]]

# Weights: how often a family is drawn.
FAMILIES: dict[str, tuple[float, Grammar]] = {
    "quadruped": (3.0, animals.quadruped),
    "bird": (2.5, birds_and_fish.bird),
    "fish": (1.5, birds_and_fish.fish),
    "sitting_cat": (2.0, sitters.sitting_cat),
    "teddy": (1.5, sitters.teddy),
    "owl": (0.7, sitters.owl_or_penguin),
    "dragon": (1.5, sitters.dragon),
    "doll": (1.5, figures.doll),
    "snowman": (0.5, figures.snowman),
    "creature": (1.5, free.creature),
    "robot": (0.7, toys.robot),
    "round_fruit": (1.2, fruit.round_fruit),
    "banana": (0.8, fruit.banana),
    "cherries": (0.8, fruit.cherries),
    "donuts": (0.8, pastry.donuts),
    "cake": (1.2, pastry.layer_cake),
    "ice_cream": (0.4, pastry.ice_cream),
    "mushroom": (0.5, fruit.mushroom),
    "burger": (0.4, pastry.burger),
    "teapot": (1.5, vessels.teapot),
    "mug": (0.7, vessels.mug),
    "vase": (0.8, vessels.vase),
    "bottle": (0.5, vessels.bottle),
    "bowl": (0.5, vessels.bowl),
    "chair": (1.0, furniture.chair),
    "sofa": (0.4, furniture.sofa),
    "table": (0.6, furniture.table),
    "cabinet": (0.4, furniture.cabinet),
    "lamp": (0.6, furniture.lamp),
    "microphone": (0.6, tools.microphone),
    "hand_tool": (0.6, tools.hand_tool),
    "umbrella": (0.3, tools.umbrella),
    "clock": (0.4, tools.clock_or_globe),
    "clothing": (0.5, tools.shoe_or_hat),
    "instrument": (0.4, tools.instrument),
    "cactus": (1.0, plants.cactus),
    "tree": (0.7, plants.tree),
    "flower": (0.6, plants.flower),
    "car": (1.0, vehicles.car),
    "truck": (0.6, vehicles.truck),
    "plane": (0.6, vehicles.plane),
    "boat": (0.5, vehicles.boat),
    "rocket": (0.3, vehicles.rocket),
    "house": (0.6, buildings.house),
    "tower": (0.4, buildings.tower),
    "blocks": (0.8, toys.blocks),
    "ball": (0.5, toys.ball_toy),
    "sculpture": (2.5, free.sculpture),
}
SPLITS = {"train": 0, "val": 10**9, "test": 2 * 10**9}
YAW_STD_DEG = 12.0


def family_names() -> list[str]:
    return list(FAMILIES)


def object_seed(split: str, index: int) -> int:
    """The seed of an object of a split ("train", "val", "test"); no two splits share one."""
    if not 0 <= index < 10**9:
        raise ValueError(f"object index {index}: expected 0 to 999999999")
    return SPLITS[split] + index


def drawn_family(seed: int) -> str:
    weights = np.array([weight for weight, _ in FAMILIES.values()])
    return family_names()[np.random.default_rng([seed, 0]).choice(len(weights), p=weights / weights.sum())]


def make_object(
    seed: int, family: str | None = None, detail: float = 1.0, texture_size: int | None = None
) -> trimesh.Trimesh:
    """The object of a seed, with vertex colours or, with `texture_size`, an image texture of so many texels a side.

    Its family and seed are in `metadata`.
    """
    family = drawn_family(seed) if family is None else family
    if family not in FAMILIES:
        raise ValueError(f'no object family "{family}"; there are {", ".join(FAMILIES)}')
    parts = placed(FAMILIES[family][1](Sculptor(np.random.default_rng(seed), detail)), seed)
    mesh = coloured(parts) if texture_size is None else textured(parts, texture_size)
    mesh.metadata.update(family=family, seed=seed, name=f"{family}-{seed}")
    return mesh


def placed(parts: Sequence[Part], seed: int) -> list[Part]:
    """Turned by the object's yaw, in its unit box."""
    yaw = np.random.default_rng([seed, 1]).normal(0.0, YAW_STD_DEG)
    vertices = normalised(np.concatenate([part.vertices for part in parts]) @ rotation("z", yaw).T)
    ends = np.cumsum([len(part.vertices) for part in parts])[:-1]
    return [replace(part, vertices=own) for part, own in zip(parts, np.split(vertices, ends), strict=True)]


def coloured(parts: Sequence[Part]) -> trimesh.Trimesh:
    """One mesh with vertex colours."""
    rgb = np.concatenate([part.colours for part in parts])
    return trimesh.Trimesh(
        np.concatenate([part.vertices for part in parts]),
        joined_faces(parts),
        vertex_colors=np.clip(np.round(np.c_[rgb, np.ones(len(rgb))] * 255), 0, 255).astype(np.uint8),
        process=False,
    )


def normalised(vertices: np.ndarray) -> np.ndarray:
    """Bounding box centred at the origin, largest side 1."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (vertices - (low + high) / 2) / (high - low).max()
