import pytest
import torch
import torch.nn.functional as F
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.encoding import Encoding, encoded, mean_jacobian
from diffusers import AutoencoderKL
from tiny_zero123 import tiny_model

SIDE = 32


def model(linear=False):
    tiny = tiny_model()
    if not linear:
        torch.manual_seed(0)
        tiny.vae = AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
            layers_per_block=1,
        ).requires_grad_(False)
    return tiny


def images(views=3, side=SIDE):
    return torch.rand(views, 3, side, side, generator=torch.Generator().manual_seed(1))


def gradient(encoding, pictures, scale=1.0):
    """Of a fixed linear function of the latents."""
    pictures = pictures.clone().requires_grad_()
    latents = encoding(pictures)
    weights = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))
    (latents * weights * scale).sum().backward()
    return latents.detach(), pictures.grad / scale


def cosine(one, other):
    return float(F.cosine_similarity(one.flatten(), other.flatten(), dim=0))


@pytest.mark.parametrize("linear", [False, True])
def test_exact_is_the_encoder_itself(linear):
    one = model(linear)
    found, expected = gradient(Encoding(one), images()), gradient(one.target_latents, images())
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])


def test_recomputed_is_exact_and_keeps_nothing_of_the_encoder():
    one, kept = model(), []
    expected = gradient(Encoding(one), images())
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()), lambda _: None):
        Encoding(one, "recomputed")(images().requires_grad_())
    assert not kept
    found = gradient(Encoding(one, "recomputed"), images())
    torch.testing.assert_close(found, expected)


def test_float16_does_not_lose_small_gradients():
    exact, half = model(), model()
    half.vae.half()
    _, expected = gradient(Encoding(exact), images())
    _, found = gradient(Encoding(half), images(), scale=1e-9)
    assert cosine(found, expected) > 0.99
    assert 0.95 < found.norm() / expected.norm() < 1.05


def test_linear_is_exact_for_a_linear_autoencoder():
    one = model(linear=True)
    encoding = Encoding(one, "linear")
    encoding.fit(images(4, 128))
    found, expected = gradient(encoding, images()), gradient(Encoding(one), images())
    assert torch.equal(found[0], expected[0])
    assert cosine(found[1], expected[1]) > 0.99
    assert 0.97 < found[1].norm() / expected[1].norm() < 1.03


def test_linear_has_exact_latents_and_keeps_nothing_of_the_encoder():
    one, kept = model(), []
    encoding = Encoding(one, "linear")
    encoding.fit(images())
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()), lambda _: None):
        latents = encoding(images().requires_grad_())
    assert not kept and latents.requires_grad
    assert torch.equal(latents.detach(), one.target_latents(images()))


def test_the_mean_jacobian_is_the_mean_of_the_jacobian_s_rows():
    """Against all rows of the full Jacobian, shifted to their positions; the random signs leave some noise."""
    torch.manual_seed(0)
    kernel = torch.randn(2, 3, 6, 6) / 6

    def encode(pictures):
        return torch.tanh(F.conv2d(pictures, kernel, stride=4, padding=1))

    picture = images(1, 16)
    found = mean_jacobian(encode, picture, draws=500)
    jacobian = torch.autograd.functional.jacobian(encode, picture)[0, :, :, :, 0]  # [channel 4 4 3 16 16]
    padded = F.pad(jacobian, (4, 4, 4, 4))
    rows = [padded[:, y, x, :, 4 * y : 4 * y + 12, 4 * x : 4 * x + 12] for y in range(4) for x in range(4)]
    inside = F.pad(torch.ones(16, 16), (4, 4, 4, 4))
    counts = sum(inside[4 * y : 4 * y + 12, 4 * x : 4 * x + 12] for y in range(4) for x in range(4))
    assert found.shape == (2, 3, 12, 12)
    expected = sum(rows) / counts
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_small_encodes_at_half_the_resolution_and_enlarges_the_latents():
    one = model()
    one.unet.register_to_config(sample_size=SIDE // 4)
    latents, pulled = gradient(Encoding(one, "small"), images())
    half = F.interpolate(images(), (SIDE // 2, SIDE // 2), mode="bilinear", antialias=True)
    assert torch.equal(latents, F.interpolate(one.target_latents(half), (SIDE // 4, SIDE // 4), mode="bilinear"))
    assert pulled.abs().sum() > 0


def test_any_way_back_can_be_given():
    pictures = images().requires_grad_()
    latents = encoded(pictures, torch.zeros(3, 4, 8, 8), lambda pulled: F.interpolate(pulled[:, :3], (SIDE, SIDE)))
    (1e-30 * latents[:, 0]).sum().backward()
    torch.testing.assert_close(pictures.grad[:, 0] * 1e30, torch.ones(3, SIDE, SIDE))
    assert not pictures.grad[:, 1:].any()


def test_a_gradient_of_zero_stays_zero():
    pictures = images().requires_grad_()
    latents = encoded(pictures, torch.zeros(3, 4, 8, 8), lambda pulled: F.interpolate(pulled[:, :3], (SIDE, SIDE)))
    (0 * latents).sum().backward()
    assert not pictures.grad.any()


def test_linear_needs_pictures_first():
    with pytest.raises(ValueError, match="fit comes before encoding"):
        Encoding(model(), "linear")(images())


def test_an_unknown_gradient_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match='guidance.encoder_gradient "none"; known are exact, recomputed, linear, small'):
        Encoding(model(), "none")
