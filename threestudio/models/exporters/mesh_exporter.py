"""The field as a textured mesh: isosurface, cleaning, atlas, baked albedo, the picture on the side that it shows."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, UInt8

import threestudio
from threestudio.models import mesh_cleaning
from threestudio.models.exporters.base import Exporter, ExporterOutput
from threestudio.models.image_projection import picture_through, project_picture
from threestudio.models.isosurface import Solid, union
from threestudio.models.lost_parts import lost_parts
from threestudio.models.mesh import Mesh, TexturedMesh
from threestudio.models.texture_atlas import pad, rasterise, unwrap
from threestudio.models.texture_bake import field_albedo
from threestudio.models.visible_relief import filled_pits
from threestudio.utils.ranges import one_of, within

FORMATS = {
    "glb+obj": ("glb", "obj"),
    "glb": ("glb",),
    "obj-mtl": ("obj",),
    "obj": ("obj",),
}
TEXTURE_FORMATS = ("png", "jpg")
# xatlas grows faster than linearly: seconds at 40,000 faces, minutes at several hundred thousand.
MANY_FACES = 150_000


@threestudio.register("mesh-exporter")
class MeshExporter(Exporter):
    @dataclass
    class Config(Exporter.Config):
        fmt: str = one_of(*FORMATS)  # obj as upstream's: colours at the vertices instead of a texture
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
        smooth_iterations: int = within(5, 0, 1000)  # of Taubin smoothing; 0 for none
        fill_pits: bool = True  # small hollows in the side that the picture shows: they tear its projection
        restore_parts: bool = True  # thin parts that the picture shows and that the surface has lost
        project_image: bool = True  # the picture's own colours on the part of the surface that it shows
        match_colors: bool = True  # bring the field's colours to the picture's mean and contrast first

    cfg: Config
    restored: Solid | None = None  # of the last surface

    def __call__(self) -> list[ExporterOutput]:
        mesh = self.surface_with_vertex_colors() if self.cfg.fmt == "obj" else self.surface_and_texture()
        return [self._output(save_type, mesh) for save_type in FORMATS[self.cfg.fmt]]

    def surface(self) -> Mesh:
        """The object's outside, clean and within the face budget."""
        mesh = self._without_floaters(self.geometry.isosurface(self._added))
        mesh = mesh_cleaning.decimate(mesh_cleaning.smooth(mesh, self.cfg.smooth_iterations), self.cfg.max_faces)
        threestudio.info(f"Mesh: {len(mesh.positions)} vertices, {len(mesh.faces)} faces.")
        return mesh

    def surface_and_texture(self) -> Mesh | TexturedMesh:
        """With texture coordinates if `save_uv`, and an albedo image if `save_texture` too."""
        surface = self.surface()
        if not self.cfg.save_uv:
            return surface
        if len(surface.faces) > MANY_FACES:
            threestudio.warn(f"{len(surface.faces)} faces: xatlas may take minutes; lower system.exporter.max_faces")
        textured = unwrap(surface, self.cfg.texture_size, self.cfg.xatlas_chart_options, self.cfg.xatlas_pack_options)
        if not self.cfg.save_texture:
            return textured
        texels = rasterise(textured, self.cfg.texture_size)
        positions = texels.interpolate(surface.positions, surface.faces)
        normals = texels.interpolate(surface.normals, surface.faces)
        albedo = self.albedo(surface, positions, normals)
        if albedo is None:
            return textured
        image = np.zeros((*texels.covered.shape, 3))
        image[texels.covered] = albedo
        return replace(textured, albedo=_as_uint8(pad(image, texels.covered)))

    def surface_with_vertex_colors(self) -> Mesh:
        """As upstream's `obj`: colours at the vertices if `save_texture`."""
        surface = self.surface()
        if not self.cfg.save_texture:
            return surface
        return replace(surface, colors=self.albedo(surface, surface.positions, surface.normals))

    def albedo(
        self, surface: Mesh, positions: Float[np.ndarray, "point 3"], normals: Float[np.ndarray, "point 3"]
    ) -> Float[np.ndarray, "point 3"] | None:
        """RGB in [0, 1] at points of the surface: the field's, and the picture's where it shows them."""
        albedo = field_albedo(self.geometry, self.material, positions, normals)
        if albedo is None:
            threestudio.warn("the material exports no albedo: the mesh has no colours")
        elif self.reference is not None and self.cfg.project_image:
            albedo = project_picture(albedo, surface, positions, normals, self.reference, self.cfg.match_colors)
            if self.restored is not None:
                albedo = picture_through(albedo, self.restored, positions, self.reference)
        return albedo

    def _added(self, mesh: Mesh) -> Solid | None:
        """What the picture says is missing from the surface."""
        if self.reference is None:
            return None
        # What floats off will go: it must not be tied to the rest, and what the picture shows there is lost.
        stays = self._without_floaters(mesh)
        pits = filled_pits(stays, self.reference) if self.cfg.fill_pits else None
        field = self.geometry.forward_density, self.geometry.bbox
        self.restored = lost_parts(stays, self.reference, *field) if self.cfg.restore_parts else None
        return union(pits, self.restored)

    def _without_floaters(self, mesh: Mesh) -> Mesh:
        cfg = self.geometry.cfg
        smallest = cfg.isosurface_outlier_n_faces_threshold
        return mesh_cleaning.remove_floaters(mesh, smallest) if cfg.isosurface_remove_outliers else mesh

    def _output(self, save_type: str, mesh: Mesh | TexturedMesh) -> ExporterOutput:
        params = {"mesh": mesh}
        if save_type == "obj":
            params |= {key: getattr(self.cfg, key) for key in ("save_normal", "save_uv", "texture_format")}
        return ExporterOutput(f"{self.cfg.save_name}.{save_type}", save_type, params)


def _as_uint8(image: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
