"""nvdiffrast under upstream's name; it needs CUDA and is installed by hand. What is here renders meshes without it."""

import importlib
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from threestudio.errors import UserError

CONTEXTS = {"gl": "RasterizeGLContext", "cuda": "RasterizeCudaContext"}


class NVDiffRasterizerContext:
    """`context_type` is "gl" or "cuda"; `tri` are vertex numbers, one triangle a row, the same for all views."""

    def __init__(self, context_type: str, device: torch.device) -> None:
        if context_type not in CONTEXTS:
            raise UserError(f'rasterizer context "{context_type}"; known are {", ".join(CONTEXTS)}')
        self.device, self.nvdiffrast = device, _nvdiffrast()
        self.ctx = getattr(self.nvdiffrast, CONTEXTS[context_type])(device=device)

    def vertex_transform(
        self, verts: Float[Tensor, "vertex 3"], mvp_mtx: Float[Tensor, "view 4 4"]
    ) -> Float[Tensor, "view vertex 4"]:
        homogeneous = torch.cat([verts, torch.ones_like(verts[:, :1])], dim=-1)
        return homogeneous @ mvp_mtx.transpose(1, 2)

    def rasterize(
        self, pos: Float[Tensor, "view vertex 4"], tri: Int[Tensor, "face 3"], resolution: int | tuple[int, int]
    ) -> Any:
        return self.nvdiffrast.rasterize(self.ctx, pos.float(), tri.int(), resolution, grad_db=True)

    def rasterize_one(
        self, pos: Float[Tensor, "vertex 4"], tri: Int[Tensor, "face 3"], resolution: int | tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        found, derivatives = self.rasterize(pos[None], tri, resolution)
        return found[0], derivatives[0]

    def antialias(
        self,
        color: Float[Tensor, "view h w c"],
        rast: Float[Tensor, "view h w 4"],
        pos: Float[Tensor, "view vertex 4"],
        tri: Int[Tensor, "face 3"],
    ) -> Float[Tensor, "view h w c"]:
        return self.nvdiffrast.antialias(color.float(), rast, pos.float(), tri.int())

    def interpolate(
        self,
        attr: Float[Tensor, "view vertex c"],
        rast: Float[Tensor, "view h w 4"],
        tri: Int[Tensor, "face 3"],
        rast_db: Tensor | None = None,
        diff_attrs: Any = None,
    ) -> Any:
        return self.nvdiffrast.interpolate(attr.float(), rast, tri.int(), rast_db=rast_db, diff_attrs=diff_attrs)

    def interpolate_one(
        self,
        attr: Float[Tensor, "vertex c"],
        rast: Float[Tensor, "view h w 4"],
        tri: Int[Tensor, "face 3"],
        rast_db: Tensor | None = None,
        diff_attrs: Any = None,
    ) -> Any:
        return self.interpolate(attr[None], rast, tri, rast_db, diff_attrs)


def _nvdiffrast() -> Any:
    try:
        return importlib.import_module("nvdiffrast.torch")
    except ImportError:
        raise UserError(
            "this renderer needs nvdiffrast, which is not installed; it takes CUDA and NVIDIA's own"
        ) from None
