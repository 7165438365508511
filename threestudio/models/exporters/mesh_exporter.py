"""The field as a textured mesh: a surface, an atlas, and an albedo of the field's colours and the picture's.

The surface is the refined one where the system has made it (`system.refinement`), else the field's isosurface, cleaned.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

import threestudio
from threestudio.mesh import cleaning as mesh_cleaning
from threestudio.mesh.apart import with_vertices_apart
from threestudio.mesh.atlas import pad, rasterise, unwrap
from threestudio.mesh.bake import field_albedo
from threestudio.mesh.budget import within_budget
from threestudio.mesh.description import described, small_charts
from threestudio.mesh.mesh import Mesh, TexturedMesh
from threestudio.mesh.projection import color_correction, project_picture
from threestudio.mesh.quads import in_quads
from threestudio.mesh.view_colors import colors_from_views
from threestudio.models.exporters.base import Exporter, ExporterOutput
from threestudio.utils.ranges import one_of, within

FORMATS = ("glb", "obj", "obj-mtl", "ply", "stl")
JOINED = tuple("+".join(names) for count in range(1, 6) for names in itertools.permutations(FORMATS, count))
TEXTURED = ("glb", "obj-mtl")
TEXTURE_FORMATS = ("png", "jpg")
# xatlas grows faster than linearly: seconds at 40,000 faces, minutes at several hundred thousand.
MANY_FACES = 150_000

Albedo = Callable[[Float[np.ndarray, "vertex c"]], Float[np.ndarray, "point c"]]


@threestudio.register("mesh-exporter")
class MeshExporter(Exporter):
    """The object's outside as a mesh in the formats that `fmt` names."""

    @dataclass
    class Config(Exporter.Config):
        # One or several of FORMATS, joined by +. obj-mtl has a texture; obj has it too beside others, and alone, as
        # upstream's, colours at the vertices instead. ply has colours at the vertices, stl none.
        fmt: str = one_of("glb+obj", *JOINED)
        save_name: str = "model"
        save_normal: bool = True
        save_uv: bool = True
        save_texture: bool = True
        texture_size: int = within(1024, 16, 16384, "pixels")
        texture_format: str = one_of(*TEXTURE_FORMATS)  # of the OBJ's texture, the GLB's is always PNG
        xatlas_chart_options: dict = field(default_factory=dict)
        xatlas_pack_options: dict = field(default_factory=dict)
        context_type: str = "cpu"  # upstream's choice of an OpenGL or CUDA rasteriser; this one needs neither
        max_faces: int = within(40_000, 0, 10**8)  # 0 keeps all
        remesh: str = one_of("triangles", "quads")  # quads needs pynanoinstantmeshes; they are whole in OBJ alone
        # Largest side, for printing: millimetres in OBJ, PLY and STL, metres in GLB; 0 leaves it as it is.
        size_mm: float = within(0.0, 0, 1e6, "millimetres")
        smooth_iterations: int = within(5, 0, 1000)  # of Taubin smoothing; 0 for none
        project_image: bool = True  # the picture's own colours on the part of the surface that it shows
        match_colors: bool = True  # correct the field's colours by what they lack where the picture is known

    cfg: Config

    def __call__(self) -> list[ExporterOutput]:
        formats = self.formats()
        surface = self.surface()
        threestudio.info(f"Mesh: {described(surface, self.scale(surface))}.")
        textured = self.textured(surface) if set(formats) & set(TEXTURED) else surface
        colored = self.colored(surface) if set(formats) - {"stl", *TEXTURED} else surface
        return [self._output(name, textured if name in TEXTURED else colored) for name in formats]

    def formats(self) -> list[str]:
        """Those of `fmt`; `obj` beside others is the one with a texture."""
        names = self.cfg.fmt.split("+")
        if len(names) > 1:
            names = ["obj-mtl" if name == "obj" else name for name in names]
        return list(dict.fromkeys(names))

    def surface(self) -> Mesh:
        """The object's outside, clean and within the face budget."""
        mesh = self.isosurface() if self.refined is None else self.refined.mesh
        make = in_quads if self.cfg.remesh == "quads" else within_budget
        return with_vertices_apart(make(mesh, self.cfg.max_faces))

    def isosurface(self) -> Mesh:
        """Without what floats beside the object, smoothed."""
        cfg, mesh = self.geometry.cfg, self.geometry.isosurface()
        if cfg.isosurface_remove_outliers:
            mesh = mesh_cleaning.remove_floaters(mesh, cfg.isosurface_outlier_n_faces_threshold)
        return mesh_cleaning.smooth(mesh, self.cfg.smooth_iterations)

    def textured(self, surface: Mesh) -> Mesh | TexturedMesh:
        """With texture coordinates if `save_uv`, and an albedo image if `save_texture` too."""
        if not self.cfg.save_uv:
            return surface
        if len(surface.faces) > MANY_FACES:
            threestudio.warn(f"{len(surface.faces)} faces: xatlas may take minutes; lower system.exporter.max_faces")
        textured = unwrap(surface, self.cfg.texture_size, self.cfg.xatlas_chart_options, self.cfg.xatlas_pack_options)
        threestudio.info(f"Texture: {small_charts(textured, self.cfg.texture_size)}.")
        if not self.cfg.save_texture:
            return textured
        texels = rasterise(textured, self.cfg.texture_size)
        albedo = self.albedo(surface, lambda values: texels.interpolate(values, surface.faces))
        if albedo is None:
            return textured
        image = np.zeros((*texels.covered.shape, 3))
        image[texels.covered] = albedo
        return replace(textured, albedo=_as_uint8(pad(image, texels.covered)))

    def colored(self, surface: Mesh) -> Mesh:
        """Colours at the vertices if `save_texture`."""
        return (
            replace(surface, colors=self.albedo(surface, lambda values: values)) if self.cfg.save_texture else surface
        )

    def albedo(self, surface: Mesh, at: Albedo) -> Float[np.ndarray, "point 3"] | None:
        """RGB in [0, 1] at the points that `at` interpolates from the vertices: the field's, and the picture's where it
        shows them."""
        positions, normals = at(surface.positions), at(surface.normals)
        at_vertices: Float[np.ndarray, "vertex 3"] | None
        albedo: Float[np.ndarray, "point 3"] | None
        if self.refined is not None:
            at_vertices = colors_from_views(surface, self.refined.views)
            albedo = at(at_vertices)
        else:
            at_vertices = field_albedo(self.geometry, self.material, surface.positions, surface.normals)
            albedo = field_albedo(self.geometry, self.material, positions, normals)
        if albedo is None or at_vertices is None:
            threestudio.warn("the material exports no albedo: the mesh has no colours")
            return None
        if self.reference is None or not self.cfg.project_image:
            return albedo
        if self.cfg.match_colors:
            albedo = np.clip(albedo + at(color_correction(at_vertices, surface, self.reference)), 0.0, 1.0)
        return project_picture(albedo, surface, positions, normals, self.reference)

    def scale(self, surface: Mesh) -> float:
        """Millimetres a world unit; 1 where no size is asked for."""
        return self.cfg.size_mm / float(np.ptp(surface.positions, axis=0).max()) if self.cfg.size_mm > 0 else 1.0

    def _output(self, name: str, mesh: Mesh | TexturedMesh) -> ExporterOutput:
        save_type = name.partition("-")[0]
        surface = mesh.mesh if isinstance(mesh, TexturedMesh) else mesh
        millimetres = self.scale(surface)
        params: dict[str, Any] = {"mesh": mesh, "scale": millimetres}
        if save_type == "obj":
            params |= {key: getattr(self.cfg, key) for key in ("save_normal", "save_uv", "texture_format")}
        if save_type == "glb":
            params["view"] = self.reference
            params["scale"] = 1e-3 * millimetres if self.cfg.size_mm > 0 else 1.0
        return ExporterOutput(f"{self.cfg.save_name}.{save_type}", save_type, params)


def _as_uint8(image: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
