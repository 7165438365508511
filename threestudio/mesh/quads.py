"""The same surface in quadrilaterals, by Instant Meshes (Jakob et al. 2015), where its package is installed."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

import numpy as np

import threestudio
from threestudio.errors import UserError
from threestudio.mesh.mesh import Mesh

PACKAGE = "pynanoinstantmeshes"
SUBDIVIDED = 4  # quadrilaterals that each one of its field becomes, so that no triangle is left


def in_quads(mesh: Mesh, max_faces: int) -> Mesh:
    """About as many triangles as before, and at most about `max_faces` (0 for any number), two to a quadrilateral.

    Instant Meshes may leave a hole; the line that describes the mesh says so. Raises `UserError` without the package.
    """
    try:
        remesh = importlib.import_module(PACKAGE).remesh
    except ImportError:
        raise UserError(f"system.exporter.remesh=quads needs the package {PACKAGE}: pip install {PACKAGE}") from None
    triangles = min(len(mesh.faces), max_faces or len(mesh.faces))
    threestudio.info(f"Quads: about {triangles // 2}, by Instant Meshes.")
    with _silence():
        positions, quads = remesh(
            np.ascontiguousarray(mesh.positions, dtype=np.float32),
            np.ascontiguousarray(mesh.faces, dtype=np.uint32),
            vertex_count=max(triangles // (2 * SUBDIVIDED), 8),
            deterministic=True,
        )
    halves = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    return Mesh(positions.astype(np.float64), halves.astype(np.int64), paired=True)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the library's C++ prints goes nowhere."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
