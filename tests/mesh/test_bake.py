import numpy as np
import torch

from threestudio.mesh.bake import composited, field_albedo


class SoftBall:
    """Density rises inwards from radius 0.6 to 0.4; pale outside, red inside."""

    bbox = torch.tensor([[-1.0] * 3, [1.0] * 3])

    def forward_density(self, points):
        radius = points.norm(dim=-1, keepdim=True)
        return 60.0 * ((0.6 - radius) / 0.2).clamp(0, 1) ** 2

    def export(self, points):
        return {"features": points}


class PaleOutside:
    def export(self, points, features):
        pale = (points.norm(dim=-1, keepdim=True) > 0.52).float()
        return {"albedo": torch.cat([torch.ones_like(pale), pale, pale], dim=-1)}


def test_a_texel_has_the_colour_that_is_seen_not_that_of_the_level():
    normals = np.random.default_rng(0).normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    albedo = field_albedo(SoftBall(), PaleOutside(), 0.53 * normals, normals)
    assert np.allclose(albedo[:, 0], 1.0, atol=1e-6)
    assert np.all(albedo[:, 1:] < 0.25)


def test_compositing_is_that_of_volume_rendering():
    density, color = 5 * torch.rand(20, 8, dtype=torch.float64), torch.rand(20, 8, 3, dtype=torch.float64)
    expected = torch.zeros(20, 3, dtype=torch.float64)
    total = torch.zeros(20, 1, dtype=torch.float64)
    transmittance = torch.ones(20, 1, dtype=torch.float64)
    for sample in range(8):
        alpha = 1 - torch.exp(-density[:, sample : sample + 1] * 0.1)
        expected += transmittance * alpha * color[:, sample]
        total += transmittance * alpha
        transmittance *= 1 - alpha
    assert torch.allclose(composited(density, color, 0.1), expected / total, atol=1e-6)


def test_a_material_without_albedo_gives_none():
    class Bare:
        def export(self, points, features):
            return {}

    assert field_albedo(SoftBall(), Bare(), np.zeros((3, 3)), np.eye(3)) is None
