"""Fields that are known exactly, with the interface of a geometry and a material."""

from types import SimpleNamespace

import torch

from threestudio.mesh.isosurface import IsosurfaceSettings, extract_isosurface


class AnalyticGeometry:
    """Solid where the signed distance is negative, in a haze."""

    def __init__(self, signed_distance, solid=100.0, haze=0.0, radius=1.0, resolution=64, threshold="auto"):
        self.cfg = SimpleNamespace(
            isosurface_resolution=resolution,
            isosurface_threshold=threshold,
            isosurface_remove_outliers=True,
            isosurface_outlier_n_faces_threshold=0.05,
        )
        self.bbox = torch.tensor([[-radius] * 3, [radius] * 3])
        self.signed_distance, self.solid, self.haze = signed_distance, solid, haze

    def forward_density(self, points):
        # A short ramp, so that the level does not decide where the surface lies.
        inside = torch.sigmoid(-self.signed_distance(points) / 0.001)
        return (self.haze + (self.solid - self.haze) * inside)[:, None]

    def isosurface(self):
        return extract_isosurface(self.forward_density, self.bbox, IsosurfaceSettings.from_geometry(self.cfg))

    def export(self, points, **kwargs):
        return {"features": points}


class AnalyticMaterial:
    """Albedo as a function of position."""

    def __init__(self, color):
        self.color = color

    def export(self, features, **kwargs):
        return {"albedo": self.color(features)}


def sphere(radius, center=(0.0, 0.0, 0.0)):
    return lambda points: (points - torch.tensor(center)).norm(dim=-1) - radius


def torus(radius, thickness):
    def signed_distance(points):
        from_ring = points[:, :2].norm(dim=-1) - radius
        return torch.stack([from_ring, points[:, 2]], dim=-1).norm(dim=-1) - thickness

    return signed_distance


def union(*distances):
    return lambda points: torch.stack([distance(points) for distance in distances]).amin(dim=0)


def position_color(points):
    """Smooth, and different on every side."""
    return 0.5 + 0.45 * torch.sin(points * torch.tensor([5.0, 7.0, 6.0]) + torch.tensor([0.0, 1.0, 2.0]))
