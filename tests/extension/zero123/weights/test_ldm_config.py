"""The LDM YAML beside a checkpoint: what is taken from it, and what is refused."""

import re
from pathlib import Path

import pytest
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123
from tiny_ldm import tiny_state, write_ckpt, write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_ckpt(tmp_path_factory.mktemp("ckpt") / "zero123-xl.ckpt", tiny_state())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_heads: 4", "use_scale_shift_norm: true", "use_scale_shift_norm: True; known is False"),
        (
            "attn_resolutions: []",
            "attn_resolutions: [16]",
            "needs attn_resolutions [] and embed_dim equal to z_channels",
        ),
        ("unet_config", "unot_config", "unet_config is missing"),
        ("linear_start: 0.00085", "beta_schedule: cosine", 'beta_schedule "cosine"'),
        ("linear_start: 0.00085", "parameterization: x0", 'parameterization "x0"'),
        ("model:", "model: [", "not readable"),
        ("num_heads: 4", "num_heads: 5", "is [32, 32, 1, 1], expected [30, 32, 1, 1]"),
        ("num_heads: 4", "num_heads: 0", "modulo by zero"),
        ("model_channels: 32", "model_channels: 33", "must be divisible by"),
        ("timesteps: 1000", "timesteps: 0", "not readable as an LDM configuration ("),
        ("scale_factor: 0.18215", "scale_factor: large", "not readable"),
        ("scale_factor: 0.18215", "scale_factor: -1.0", "scaling_factor is -1.0"),
        ("scale_factor: 0.18215", "scale_factor: .inf", "scaling_factor is inf"),
        ("scale_factor: 0.18215", "conditioning_key: crossattn", "conditioning_key: crossattn; known is hybrid"),
        ("num_res_blocks: 1", "num_res_blocks: [1, 1]", "not"),
        ("image_size: 8", "image_size: [8, 16]", "image_size is [8, 16]"),
        ("image_size: 8", "image_size: 0", "image_size is 0"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused_by_its_key(tmp_path, config, file, old, new, message):
    text = Path(config).read_text()
    assert old in text
    (tmp_path / "wrong.yaml").write_text(re.sub(re.escape(old), new, text, count=1))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load_zero123(file, config=str(tmp_path / "wrong.yaml"))
    assert "wrong.yaml" in str(caught.value) or str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_scale_that_the_configuration_leaves_out_is_1_as_in_the_original(tmp_path, config, file):
    text = re.sub(r" *scale_factor: 0.18215,?\n?", "", Path(config).read_text())
    assert "scale_factor" not in text
    (tmp_path / "unscaled.yaml").write_text(text)
    assert load_zero123(file, config=str(tmp_path / "unscaled.yaml")).vae.config.scaling_factor == 1.0


def test_a_configuration_for_a_folder_is_refused(tmp_path, config, file):
    save_zero123(load_zero123(file, config=config), tmp_path / "folder")
    with pytest.raises(UserError, match="leave `config` out"):
        load_zero123(tmp_path / "folder", config=config)
