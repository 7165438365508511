"""From the trained field to the fitted surface: renders the field all around, runs the surface stage, keeps its state.

The surface is a function of the field, the picture, its camera and the settings alone, and their fingerprint stands in
the file that is kept: an interrupted fit goes on from it, an export of a finished one takes its mesh as it is, and
another field or other settings begin anew.
"""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import threestudio
from threestudio import cameras
from threestudio.errors import UserError
from threestudio.mesh.differentiable import Camera
from threestudio.mesh.isosurface import IsosurfaceSettings, level_of_field
from threestudio.mesh.mesh import Mesh
from threestudio.mesh.picture_volume import starting_surface
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.surface_stage import SurfaceConfig, SurfaceFit, field_targets, picture_targets
from threestudio.mesh.view_colors import FieldView, RefinedSurface
from threestudio.utils.checkpoint import load_checkpoint, save_checkpoint
from threestudio.utils.misc import get_seed
from threestudio.utils.progress import stage
from threestudio.views import Cameras

ELEVATIONS_DEG = (-5.0, 25.0, 55.0)  # of the rings from which the field is looked at
FIRST_AZIMUTH_DEG = 11.0  # none of them is the picture's
EVERY_SECONDS = 5.0  # the state of the fit is written


@torch.inference_mode(False)  # in which Lightning exports
@torch.enable_grad()
def refined_surface(system: Any, view: ReferenceView, config: SurfaceConfig) -> RefinedSurface:
    """`system` has geometry and renderer; `view` is the picture with its camera."""
    views = field_views(system, view, config)
    place = Path(system.get_save_dir()).parent / "ckpts" / f"surface-it{system.true_global_step}.ckpt"
    fingerprint, kept = _fingerprint(system, view, config), _kept(place)
    if kept is not None and kept.get("fingerprint") == fingerprint:
        start = Mesh(kept["positions"].numpy(), kept["faces"].numpy())
    else:
        kept, start = None, _start(system.geometry, view, config)
    pictures, around = picture_targets(view, config.further_weight), field_targets(views, config.field_weight)
    fit = SurfaceFit(start, pictures, around, config, get_seed())
    if kept is not None:
        fit.load_state(kept["fit"])
    given = {"positions": torch.from_numpy(start.positions), "faces": torch.from_numpy(start.faces)}
    identity = {"state_dict": {}, "fingerprint": fingerprint} | given
    with stage("surface", config.steps, fit.step) as progress:
        keep = lambda state: save_checkpoint(identity | {"fit": state}, place)  # noqa: E731
        fitted = fit.run(progress.advance, keep, EVERY_SECONDS)
    return RefinedSurface(fitted, views)


def field_views(system: Any, view: ReferenceView, config: SurfaceConfig) -> list[FieldView]:
    """Renderings of the field from rings of cameras, at the picture's distance and field of view."""
    distance = float(np.linalg.norm(view.origin))
    around = Cameras.rings(config.field_views, ELEVATIONS_DEG, FIRST_AZIMUTH_DEG, distance, view.fovy_deg)
    return [_rendered(system, one, view.fovy_deg, config.field_size) for one in around.c2w]


@torch.no_grad()
def _rendered(system: Any, c2w: torch.Tensor, fovy_deg: float, size: int) -> FieldView:
    place = c2w[None].to(system.device)
    rays_o, rays_d = cameras.rays(place, torch.tensor([fovy_deg]).to(place), size, size)
    batch = {"rays_o": rays_o, "rays_d": rays_d, "c2w": place, "height": size, "width": size}
    batch |= {"light_positions": place[:, :3, 3], "camera_positions": place[:, :3, 3]}
    out = system.renderer(**batch, bg_color=None, shading="diffuse", ambient_ratio=1.0, output_normal=False)
    opacity = out["opacity"][0].float()
    rgb = out["comp_rgb"][0].float() - (1.0 - opacity) * out["comp_rgb_bg"][0].float()
    return FieldView(Camera(c2w, fovy_deg, size, size), rgb.cpu().numpy(), opacity[..., 0].cpu().numpy())


def _start(geometry: Any, view: ReferenceView, config: SurfaceConfig) -> Mesh:
    threestudio.info("Surface: a smooth start from the picture and the field.")
    level = level_of_field(geometry.forward_density, geometry.bbox, IsosurfaceSettings.from_geometry(geometry.cfg))
    return starting_surface(view, geometry.forward_density, geometry.bbox, level, config)


def _kept(place: Path) -> dict[str, Any] | None:
    """What an earlier fit left; None where there is nothing that can be read."""
    if not place.is_file():
        return None
    try:
        return load_checkpoint(place)
    except UserError as error:
        threestudio.warn(f"{error}; the surface is fitted anew")
        return None


def _fingerprint(system: Any, view: ReferenceView, config: SurfaceConfig) -> str:
    told = hashlib.sha256(repr((asdict(config), get_seed(), view.fovy_deg)).encode())
    for array in [array for one in view.all for array in (one.rgba, one.c2w)]:
        told.update(np.ascontiguousarray(array).tobytes())
    for name, value in sorted(system.geometry.state_dict().items()):
        told.update(name.encode() + value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return told.hexdigest()
