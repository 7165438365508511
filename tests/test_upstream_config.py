"""A config with every key and resolver of upstream threestudio's configs/zero123.yaml trains here, on a CPU.

The values are small ones of our own. Of the guidance only the component's name and its weights are not upstream's.
"""

import csv
import logging
from pathlib import Path

import cascade_zero123.guidance
import pytest
from PIL import Image
from tiny_zero123 import ball_picture, save_tiny_cascade

import launch
import threestudio
from threestudio.utils.config import load_config

CONFIG = """
name: upstream
tag: "${data.random_camera.height}_${rmspace:${basename:${data.image_path}},_}"
exp_root_dir: results
seed: 5
data_type: single-image-datamodule
data:
  image_path: ./a ball.png
  height: [12, 14, 16]
  width: [12, 14, 16]
  resolution_milestones: [1, 2]
  default_elevation_deg: 10.0
  default_azimuth_deg: 0.0
  default_camera_distance: 3.8
  default_fovy_deg: 20.0
  requires_depth: ${cmaxgt0orcmaxgt0:${system.loss.lambda_depth},${system.loss.lambda_depth_rel}}
  requires_normal: ${cmaxgt0:${system.loss.lambda_normal}}
  random_camera:
    height: [8, 9, 10]
    width: [8, 9, 10]
    batch_size: [3, 2, 1]
    resolution_milestones: [1, 2]
    eval_height: 10
    eval_width: 10
    eval_batch_size: 1
    elevation_range: [0, 45]
    azimuth_range: [-90, 90]
    camera_distance_range: [3.8, 3.8]
    fovy_range: [20.0, 20.0]
    progressive_until: 0
    camera_perturb: 0.0
    center_perturb: 0.0
    up_perturb: 0.0
    light_position_perturb: 0.5
    light_distance_range: [5.0, 6.0]
    eval_elevation_deg: ${data.default_elevation_deg}
    eval_camera_distance: ${data.default_camera_distance}
    eval_fovy_deg: ${data.default_fovy_deg}
    light_sample_strategy: dreamfusion
    batch_uniform_azimuth: false
    n_val_views: 1
    n_test_views: 2
system_type: zero123-system
system:
  geometry_type: implicit-volume
  geometry:
    radius: 1.0
    normal_type: analytic
    density_bias: blob_magic3d
    density_activation: softplus
    density_blob_scale: 8.0
    density_blob_std: 0.4
    pos_encoding_config:
      otype: HashGrid
      n_levels: 2
      n_features_per_level: 2
      log2_hashmap_size: 8
      base_resolution: 4
      per_level_scale: 1.5
    mlp_network_config:
      otype: VanillaMLP
      activation: ReLU
      output_activation: none
      n_neurons: 8
      n_hidden_layers: 2
  material_type: diffuse-with-point-light-material
  material: {ambient_only_steps: 1, textureless_prob: 0.5, albedo_activation: sigmoid}
  background_type: solid-color-background
  renderer_type: nerf-volume-renderer
  renderer:
    radius: ${system.geometry.radius}
    num_samples_per_ray: 16
    return_comp_normal: ${gt0:${system.loss.lambda_normal_smooth}}
    return_normal_perturb: ${gt0:${system.loss.lambda_3d_normal_smooth}}
  prompt_processor_type: dummy-prompt-processor
  prompt_processor: {pretrained_model_name_or_path: "", prompt: ""}
  guidance_type: cascade-zero123-guidance
  guidance:
    pretrained_model_name_or_path: base
    pretrained_config: an-ldm-config-that-a-folder-of-weights-does-not-need.yaml
    vram_O: ${not:${gt0:${system.freq.guidance_eval}}}
    cond_image_path: ${data.image_path}
    cond_elevation_deg: ${data.default_elevation_deg}
    cond_azimuth_deg: ${data.default_azimuth_deg}
    cond_camera_distance: ${data.default_camera_distance}
    guidance_scale: 2.0
    min_step_percent: [0, 0.3, 0.1, 2]
    max_step_percent: [0, 0.9, 0.6, 2]
  freq: {ref_only_steps: 0, guidance_eval: 0}
  loggers:
    wandb: {enable: false, project: threestudio, name: None}
  loss:
    lambda_sds: 0.2
    lambda_rgb: 100.0
    lambda_mask: 10.0
    lambda_depth: 0.0
    lambda_depth_rel: 0.0
    lambda_normal: 0.0
    lambda_normal_smooth: 1.0
    lambda_3d_normal_smooth: 2.0
    lambda_orient: 1.0
    lambda_sparsity: 0.1
    lambda_opaque: 0.1
  optimizer:
    name: Adam
    args: {lr: 0.02, betas: [0.9, 0.99], eps: 1.0e-8}
trainer:
  max_steps: 2
  log_every_n_steps: 1
  num_sanity_val_steps: 0
  val_check_interval: 1
  enable_progress_bar: true
  precision: 16-mixed
checkpoint: {save_last: true, save_top_k: -1, every_n_train_steps: 1}
"""
EXTENSION = Path(cascade_zero123.guidance.__file__).parent
LOSSES = ("rgb", "mask", "sds", "normal_smooth", "3d_normal_smooth", "orient", "sparsity", "opaque")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "CUSTOM", EXTENSION.parent)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    logger = logging.getLogger("threestudio")
    before = logger.handlers, logger.propagate, logger.level
    Path("zero123.yaml").write_text(CONFIG)
    save_tiny_cascade(tmp_path)
    Image.fromarray((ball_picture(48) * 255).byte().numpy()).save("a ball.png")
    yield tmp_path
    logger.handlers, logger.propagate, logger.level = before


def test_every_component_accepts_upstreams_keys_and_the_resolvers_give_upstreams_values(workplace):
    cfg = load_config("zero123.yaml")
    assert cfg.tag == "[8, 9, 10]_a_ball.png"
    assert (cfg.data.requires_depth, cfg.data.requires_normal, cfg.system.guidance.vram_O) == (False, False, True)
    assert cfg.system.renderer.return_comp_normal and cfg.system.renderer.return_normal_perturb
    threestudio.find(cfg.data_type)(cfg.data).setup()
    threestudio.find(cfg.system_type)(cfg.system)
    for part in ("guidance", "prompt_processor"):
        threestudio.find(cfg.system[f"{part}_type"])(cfg.system[part])


def test_with_upstream_s_own_guidance_it_trains_unchanged(workplace, capsys):
    Path("zero123.yaml").write_text(CONFIG.replace("cascade-zero123-guidance", "zero123-guidance"))
    assert launch.main(["--config", "zero123.yaml", "--train", "trainer.max_steps=1"]) == 0
    assert capsys.readouterr().err == ""
    (trial,) = Path("results/upstream").iterdir()
    assert (trial / "save" / "it1-test.mp4").is_file()


def test_it_trains_and_says_what_makes_no_sense_without_cuda(workplace, capsys):
    assert launch.main(["--config", "zero123.yaml", "--train"]) == 0
    said = capsys.readouterr()
    assert said.out.count("no CUDA device: trainer.precision 16-mixed becomes 32-true") == 1
    assert said.err == ""
    (trial,) = Path("results/upstream").iterdir()
    assert {"it1-val.png", "it2-val.png", "it2-test.mp4"} <= {path.name for path in (trial / "save").iterdir()}
    with open(next(trial.rglob("metrics.csv"))) as file:
        columns = set(csv.DictReader(file).fieldnames or ())
    assert {f"train/loss_{'ref' if name in ('rgb', 'mask') else 'zero123'}_{name}" for name in LOSSES} <= columns
