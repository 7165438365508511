"""A Zero-1-to-3 with random weights, small enough that a step takes milliseconds, in the bundled model's shape."""

from pathlib import Path

import torch
from cascade_zero123.zero123.architecture import Architecture, build_model
from cascade_zero123.zero123.model import Zero123
from cascade_zero123.zero123.weights.loading import save_zero123

SIZE, LATENT_CHANNELS, EMBEDDING = 16, 12, 8
ZERO_SNR_V = {
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
EPSILON = {"beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}


def tiny_model(scheduler: dict | None = None, seed: int = 0, channels: int = 3) -> Zero123:
    torch.manual_seed(seed)
    model = build_model(
        Architecture(
            unet={
                "sample_size": SIZE // 4,
                "in_channels": 2 * LATENT_CHANNELS,
                "out_channels": LATENT_CHANNELS,
                "block_out_channels": (8, 8),
                "layers_per_block": 1,
                "norm_num_groups": 4,
                "attention_head_dim": 4,
                "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
                "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
                "cross_attention_dim": 8,
                "class_embed_type": "projection",
                "projection_class_embeddings_input_dim": EMBEDDING + 4,
            },
            vae={"patch_size": 4, "latent_channels": LATENT_CHANNELS, "in_channels": channels},
            image_encoder={
                "hidden_size": 8,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": SIZE,
                "patch_size": 8,
                "projection_dim": EMBEDDING,
                "num_channels": channels,
            },
            scheduler=ZERO_SNR_V if scheduler is None else scheduler,
            settings={"image_size": SIZE, "fovy_deg": 20.0, "camera_distance": 3.8, "cond_elevation_deg": 10.0},
        )
    )
    if channels == 4:
        model.vae.fit(2 * torch.rand(16, channels, SIZE, SIZE) - 1)  # else its first latents are of colours alone
    return model.eval().requires_grad_(False)


def convolutional_model(seed: int = 0) -> Zero123:
    """The same with an autoencoder of the published kind, which has an encoder and a decoder."""
    tiny = tiny_model(seed=seed)
    vae = {
        "block_out_channels": (8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "latent_channels": LATENT_CHANNELS,
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "sample_size": SIZE,
    }
    architecture = Architecture(dict(tiny.unet.config), vae, tiny.image_encoder.config.to_dict(), tiny.scheduler_config)
    model = build_model(architecture)
    model.settings = tiny.settings
    return model.eval().requires_grad_(False)


def save_tiny_cascade(folder: Path, channels: int = 3) -> Path:
    """`folder`/base and `folder`/refiner, the latter sharing base's autoencoder and image encoder."""
    base, refiner = tiny_model(seed=0, channels=channels), tiny_model(seed=1, channels=channels)
    refiner.vae, refiner.image_encoder = base.vae, base.image_encoder
    save_zero123(base, folder / "base")
    save_zero123(refiner, folder / "refiner", shared_with=folder / "base")
    return folder


def ball_picture(size: int = 64, ratio: float = 0.75) -> torch.Tensor:
    """[h w 4]: an orange disc that spans `ratio` of a transparent square."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    inside = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt() < ratio
    rgba = torch.zeros(size, size, 4)
    rgba[inside] = torch.tensor([0.9, 0.5, 0.1, 1.0])
    return rgba
