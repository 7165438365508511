"""Views of generated objects, rendered straight into the packed layout that training reads (rendered_views.py).

`images.npy` uint8 [object view h w 4], `cameras.npy` float32 [object view 3 4] world-to-camera, `done.npy` bool
[object], `meta.json`. All are memory-mapped and filled object by object, so that a stopped run goes on.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from cascade_zero123.cascade.prompt_views import NEARBY_DEG
from cascade_zero123.objects import make_object, object_seed
from jaxtyping import Float
from numpy import ndarray
from tqdm import tqdm

from threestudio.cameras import orbit
from threestudio.models.mesh_renderer import render_mesh

SOURCE_ELEVATION_DEG = (-5.0, 25.0)
FRONT_AZIMUTH_DEG = 50.0  # photographs show the front, +x, more often than not


@dataclass(frozen=True)
class ViewSettings:
    split: str
    count: int
    views: int = 12
    size: int = 64
    fovy_deg: float = 20.0
    distance: float = 3.8
    elevation_min_deg: float = -10.0
    elevation_max_deg: float = 60.0
    shading: str = "diffuse"


def cascade_cameras(
    rng: np.random.Generator, settings: ViewSettings
) -> tuple[Float[ndarray, "view"], Float[ndarray, "view"]]:
    """Elevations and azimuths in degrees: a source view, the nearby views of it, then random ones."""
    front = rng.uniform() < 0.5
    azimuth = rng.uniform(-FRONT_AZIMUTH_DEG, FRONT_AZIMUTH_DEG) if front else rng.uniform(-180, 180)
    elevation = rng.uniform(*SOURCE_ELEVATION_DEG)
    rest = settings.views - 1 - len(NEARBY_DEG)
    azimuths = [azimuth, *(azimuth + offset for offset, _ in NEARBY_DEG), *rng.uniform(-180, 180, rest)]
    random_elevations = rng.uniform(settings.elevation_min_deg, settings.elevation_max_deg, rest)
    elevations = [elevation, *(elevation + offset for _, offset in NEARBY_DEG), *random_elevations]
    return np.asarray(elevations, np.float32), np.asarray(azimuths, np.float32)


def render_object(index: int, settings: ViewSettings) -> tuple[ndarray, ndarray]:
    """Images and world-to-camera matrices of one object; a function of split and index alone."""
    seed = object_seed(settings.split, index)
    rng = np.random.default_rng([seed, 1])
    elevation, azimuth = (torch.from_numpy(angles) for angles in cascade_cameras(rng, settings))
    c2w = orbit(elevation, azimuth, torch.full_like(azimuth, settings.distance))
    images = render_mesh(
        make_object(seed),
        c2w,
        settings.fovy_deg,
        settings.size,
        settings.size,
        shading=settings.shading,
        light_azimuth_deg=float(rng.uniform(-180, 180)),
    )
    return images, torch.linalg.inv(c2w)[:, :3].numpy()


def _fill(index: int, folder: Path, settings: ViewSettings) -> None:
    torch.set_num_threads(1)
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="r+") for name in ("images", "cameras", "done")]
    arrays[0][index], arrays[1][index] = render_object(index, settings)
    arrays[2][index] = True


def render_packed(folder: Path, settings: ViewSettings, workers: int) -> None:
    """Render what is not done yet; a folder of other settings is refused."""
    _prepare(folder, settings)
    todo = np.flatnonzero(~np.load(folder / "done.npy")).tolist()
    with ProcessPoolExecutor(workers) as pool:
        work = pool.map(partial(_fill, folder=folder, settings=settings), todo, chunksize=8)
        for _ in tqdm(work, total=len(todo), desc=f"{settings.split} objects", mininterval=5):
            pass


def _prepare(folder: Path, settings: ViewSettings) -> None:
    meta = folder / "meta.json"
    if meta.exists():
        found = json.loads(meta.read_text())
        if found != asdict(settings):
            raise ValueError(f"{meta}: made with other settings; choose another folder or remove this one")
        return
    folder.mkdir(parents=True, exist_ok=True)
    count, views, size = settings.count, settings.views, settings.size
    for name, shape, kind in (
        ("images", (count, views, size, size, 4), np.uint8),
        ("cameras", (count, views, 3, 4), np.float32),
        ("done", (count,), bool),
    ):
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=kind, shape=shape).flush()
    meta.write_text(json.dumps(asdict(settings), indent=2) + "\n")
