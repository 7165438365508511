"""Units and axes, with a network that knows the truth about a ball; and the bundled network's file."""

import pytest
import torch
from jaxtyping import TypeCheckError

from threestudio import cameras
from threestudio.errors import UserError
from threestudio.relief import Relief, relief_of
from threestudio.relief.inputs import network_input, to_outline
from threestudio.relief.network import LAYER_OFFSETS, LAYERS_SIZE, SIZE, Prediction, ReliefNetwork
from threestudio.relief.weights import load_relief_network, save_relief_network

RADIUS = 0.4


def camera(elevation_deg=0.0, azimuth_deg=0.0, distance=3.8):
    return cameras.orbit(*torch.tensor([[elevation_deg], [azimuth_deg], [distance]]))[0]


def ball(c2w, fovy_deg, size):
    """Along each ray, the distances to the front and the back of the ball, NaN beside it; and the rays."""
    origins, directions = (values[0] for values in cameras.rays(c2w[None], torch.tensor([fovy_deg]), size, size))
    along = -(origins * directions).sum(dim=-1)
    half = (RADIUS**2 - origins.square().sum(dim=-1) + along.square()).sqrt()
    return along - half, along + half, origins, directions


class KnowsTheBall(ReliefNetwork):
    """In the network's units and axes."""

    def __init__(self, c2w, fovy_deg):
        super().__init__()
        unit = float(c2w[:3, 3].norm()) * torch.tan(torch.deg2rad(torch.tensor(fovy_deg / 2)))
        front, back, origins, directions = ball(c2w, fovy_deg, SIZE)
        cosine = directions @ -c2w[:3, 2]
        normal = torch.nn.functional.normalize(origins + front[..., None] * directions, dim=-1) @ c2w[:3, :3]
        origins, directions = ball(c2w, fovy_deg, LAYERS_SIZE)[2:]
        axial = float(c2w[:3, 3].norm()) + unit * torch.tensor(LAYER_OFFSETS)
        points = origins + directions * (axial[:, None, None] / (directions @ -c2w[:3, 2]))[..., None]
        self.prediction = Prediction(
            front=((front * cosine - c2w[:3, 3].norm()) / unit).nan_to_num()[None],
            thickness=((back - front) * cosine / unit).nan_to_num()[None],
            normal=normal.nan_to_num().permute(2, 0, 1)[None],
            layer_logits=torch.where(points.norm(dim=-1) < RADIUS, 9.0, -9.0)[None],
            elevation_deg=torch.tensor([12.0]),
        )

    def forward(self, given):
        assert given.shape == (1, 7, SIZE, SIZE)
        return self.prediction


def relief_of_ball(c2w, fovy_deg=20.0) -> Relief:
    rgba = torch.ones(256, 256, 4)
    rgba[..., 3] = torch.isfinite(ball(c2w, fovy_deg, 256)[0]).float()
    return relief_of(rgba, c2w, fovy_deg, KnowsTheBall(c2w, fovy_deg))


@pytest.mark.parametrize("pose", [(0.0, 0.0, 3.8), (35.0, 120.0, 3.8), (-20.0, -60.0, 1.5)])
def test_depth_and_thickness_are_world_units_along_the_rays_and_normals_in_world_axes(pose):
    c2w, fovy_deg = camera(*pose), 20.0 if pose[2] > 2 else 45.0
    relief = relief_of_ball(c2w, fovy_deg)
    front, back, origins, directions = ball(c2w, fovy_deg, SIZE)
    seen = relief.mask & torch.isfinite(front)
    assert seen.sum() > 0.9 * relief.mask.sum()
    torch.testing.assert_close(relief.depth[seen], front[seen], atol=1e-4, rtol=0)
    torch.testing.assert_close(relief.thickness[seen], (back - front)[seen], atol=1e-4, rtol=0)
    surface = origins + front[..., None] * directions
    torch.testing.assert_close(relief.normal[seen], surface[seen] / RADIUS, atol=1e-3, rtol=0)
    assert relief.elevation_deg == 12.0


@pytest.mark.parametrize("pose", [(0.0, 0.0), (30.0, 100.0)])
def test_points_are_inside_where_the_ball_is(pose):
    relief = relief_of_ball(camera(*pose))
    points = 1.2 * RADIUS * (2 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 1)
    reach = points.norm(dim=1)
    inside = relief.inside(points) > 0.5
    assert inside[reach < RADIUS - 0.05].all()
    assert not inside[reach > RADIUS + 0.05].any()
    assert (inside == (reach < RADIUS)).float().mean() > 0.95


def test_nothing_is_inside_beyond_the_picture_and_the_layers():
    relief = relief_of_ball(camera())
    far = torch.tensor([[0.0, 0.9, 0.0], [0.0, 0.0, -0.8], [-0.75, 0.0, 0.0], [3.0, 0.0, 0.0]])
    assert relief.inside(far).tolist() == [0.0] * 4


def test_a_front_too_thin_for_the_layers_is_still_there():
    relief = relief_of_ball(camera())
    thin = Relief(**vars(relief) | {"layers": torch.zeros_like(relief.layers)})
    nearest = torch.tensor([[RADIUS - 0.01, 0.0, 0.0]])
    assert thin.inside(nearest).tolist() == [1.0]
    assert thin.inside(torch.zeros(1, 3)).tolist() == [0.0]


def test_at_another_size_depth_stays_in_its_place_and_normals_keep_their_length():
    relief = relief_of_ball(camera(20.0, 40.0))
    same, _ = relief.at(SIZE, SIZE)
    torch.testing.assert_close(same[..., 0], relief.depth, atol=1e-4, rtol=0)
    finer, normal = relief.at(2 * SIZE, 2 * SIZE)
    middle = slice(SIZE - 8, SIZE + 8)
    exact = ball(camera(20.0, 40.0), 20.0, 2 * SIZE)[0]
    torch.testing.assert_close(finer[middle, middle, 0], exact[middle, middle], atol=2e-3, rtol=0)
    torch.testing.assert_close(normal[middle, middle].norm(dim=-1), torch.ones(16, 16))
    wide, _ = relief.at(64, 128)
    torch.testing.assert_close(wide[:, 32:96], relief.at(64, 64)[0])


def test_a_picture_that_is_no_square_is_refused():
    with pytest.raises((ValueError, TypeCheckError), match="expected a square"):
        relief_of(torch.ones(10, 12, 4), camera(), 20.0)


def test_hidden_colours_do_not_reach_the_network():
    rgba = torch.rand(64, 64, 4)
    rgba[..., 3] = (torch.arange(64) < 32).float()
    other = torch.where(rgba[..., 3:] > 0, rgba, 1 - rgba) * torch.tensor([1.0, 1.0, 1.0, 0.0])
    other[..., 3] = rgba[..., 3]
    torch.testing.assert_close(network_input(rgba), network_input(other))


def test_the_distance_to_the_outline_is_in_halves_of_the_picture_and_knows_its_edge():
    alpha = torch.zeros(SIZE, SIZE)
    alpha[32:96, 32:96] = 1.0
    assert to_outline(alpha)[64, 64] == pytest.approx(32 / 64, abs=0.02)
    assert to_outline(alpha)[0, 0] == 0
    assert to_outline(torch.ones(SIZE, SIZE))[64, 64] == pytest.approx(1.0, abs=0.02)


def test_every_prediction_has_the_size_it_is_said_to_have():
    predicted = ReliefNetwork().eval()(torch.zeros(2, 7, SIZE, SIZE))
    assert predicted.front.shape == predicted.thickness.shape == (2, SIZE, SIZE)
    torch.testing.assert_close(predicted.normal.norm(dim=1), torch.ones(2, SIZE, SIZE))
    assert predicted.layer_logits.shape == (2, len(LAYER_OFFSETS), LAYERS_SIZE, LAYERS_SIZE)
    assert predicted.elevation_deg.shape == (2,)


def test_weights_are_the_same_from_their_file_up_to_half_precision(tmp_path):
    network = ReliefNetwork()
    save_relief_network(network, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size < 8_000_000
    loaded = load_relief_network(tmp_path / "model.safetensors")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not found; it holds the relief network"), (b"no weights", "not the relief network")],
)
def test_a_missing_or_broken_file_is_named(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}: {message}"):
        load_relief_network(path)
