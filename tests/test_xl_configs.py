"""The configs for published weights: each key is understood, and the small one differs only in what saves memory."""

import math
from pathlib import Path

import cascade_zero123.guidance  # noqa: F401  (registers it)
import pytest
from test_configs import flat

import threestudio
from threestudio.utils.config import load_config, parse_structured

ROOT = Path(__file__).parents[1]
CONFIGS = ("cascade-zero123-xl.yaml", "cascade-zero123-xl-low-memory.yaml")


@pytest.fixture(params=CONFIGS)
def cfg(request, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_config(f"configs/{request.param}", cli_args=["data.default_elevation_deg=5"])


def test_every_key_is_known_and_the_field_can_be_made(cfg):
    threestudio.find(cfg.data_type)(cfg.data)
    system = threestudio.find(cfg.system_type)(cfg.system)
    parse_structured(threestudio.find(cfg.system.guidance_type).Config, cfg.system.guidance)
    assert sum(parameter.numel() for parameter in system.geometry.parameters()) > 1e6


def test_the_camera_is_one_of_zero123_s_training_and_frames_the_picture_s_object_at_size_1(cfg):
    data = cfg.data
    assert data.default_fovy_deg == 49.1 and 1.5 <= data.default_camera_distance <= 2.2
    assert list(data.random_camera.fovy_range) == [49.1, 49.1]
    assert list(data.random_camera.camera_distance_range) == [data.default_camera_distance] * 2
    frame = 2 * data.default_camera_distance * math.tan(math.radians(data.default_fovy_deg / 2))
    assert data.object_ratio * frame == pytest.approx(1.0, abs=0.05)


def test_the_guidance_reads_the_picture_s_camera(cfg):
    guidance = cfg.system.guidance
    assert guidance.cond_camera_distance == cfg.data.default_camera_distance
    assert guidance.cond_elevation_deg == cfg.data.default_elevation_deg
    assert guidance.precision == "auto" and guidance.vram_O


def test_the_low_memory_config_differs_only_in_what_saves_memory():
    large, small = (flat(name) for name in CONFIGS)
    different = {key for key in large | small if large.get(key) != small.get(key)}
    assert different == {"name", "data.random_camera.batch_size", "system.guidance.encoder_gradient"}
    assert small["data.random_camera.batch_size"] == [1, 1]
    assert small["system.guidance.encoder_gradient"] == "recomputed"


def test_the_training_recipe_is_the_paper_s(monkeypatch):
    from cascade_zero123.training.batches import RenderedViewsConfig
    from cascade_zero123.training.prompts import PromptsConfig

    monkeypatch.chdir(ROOT)
    cfg = load_config("configs/train-refiner-xl.yaml")
    system = parse_structured(threestudio.find(cfg.system_type).Config, cfg.system)
    data, prompts = parse_structured(RenderedViewsConfig, cfg.data), parse_structured(PromptsConfig, system.prompts)
    assert (8 * data.batch_size * cfg.trainer.accumulate_grad_batches, cfg.trainer.max_steps) == (96, 170_000)
    assert (system.learning_rate, system.projection_lr_factor, system.weight_decay) == (1e-4, 10.0, 1e-2)
    assert (system.high_noise_power, system.last_step_probability, data.augment) == (0.0, 0.0, False)
    assert (prompts.views_deg, prompts.steps) == ([[45, 0], [-45, 0], [0, 30]], 25)
    assert (prompts.pool, prompts.refresh_steps, data.context_probability) == (data.batch_size, 1, 0.0)
