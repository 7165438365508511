import torch
from cascade_zero123.zero123.patch_autoencoder import PatchAutoencoder


def smooth_images(count: int) -> torch.Tensor:
    coarse = torch.rand(count, 3, 4, 4) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (16, 16), mode="bicubic", align_corners=False)


def test_all_components_reconstruct_exactly():
    autoencoder = PatchAutoencoder(patch_size=4, latent_channels=48)
    images = smooth_images(64)
    autoencoder.fit(images)
    latents = autoencoder.encode(images).latent_dist.mode()
    assert latents.shape == (64, 48, 4, 4)
    assert torch.allclose(autoencoder.decode(latents).sample, images, atol=1e-4)


def test_the_leading_components_are_the_best_linear_code():
    images = smooth_images(256)
    errors = []
    for channels in (4, 12):
        autoencoder = PatchAutoencoder(patch_size=4, latent_channels=channels)
        autoencoder.fit(images)
        restored = autoencoder.decode(autoencoder.encode(images).latent_dist.mode()).sample
        errors.append((restored - images).square().mean().item())
    patches = torch.nn.functional.pixel_unshuffle(images, 4).movedim(1, -1).reshape(-1, 48).double()
    variances = torch.linalg.eigvalsh(torch.cov(patches.T)).flip(0)
    for error, channels in zip(errors, (4, 12), strict=True):
        assert abs(error - variances[channels:].sum().item() / 48) < 1e-3 * variances.sum().item()


def test_latents_have_unit_variance_overall():
    autoencoder = PatchAutoencoder(patch_size=4, latent_channels=16)
    images = smooth_images(256)
    autoencoder.fit(images)
    latents = autoencoder.encode(images).latent_dist.mode()
    per_channel = latents.movedim(1, 0).flatten(1).var(dim=1)
    assert abs(per_channel.mean().item() - 1.0) < 1e-2


def test_encoding_is_differentiable():
    autoencoder = PatchAutoencoder(patch_size=4, latent_channels=16)
    images = smooth_images(2).requires_grad_()
    autoencoder.encode(images).latent_dist.mode().square().sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
