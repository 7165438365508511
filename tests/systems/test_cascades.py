"""Cascades and pictures by YAML alone, from the command line to a mesh."""

import pytest
import yaml
from cascade_zero123.zero123.weights.loading import save_zero123
from PIL import Image
from tiny_zero123 import ball_picture, save_tiny_cascade, tiny_model

import launch
from threestudio.mesh.files import read_glb

CONFIG = """
name: tiny
tag: ball
use_timestamp: false
export_after_train: true
data_type: single-image-datamodule
data:
  image_path: ball.png
  height: 16
  width: 16
  default_elevation_deg: 10.0
  default_azimuth_deg: 0.0
  default_camera_distance: 3.8
  default_fovy_deg: 20.0
  random_camera:
    {height: 8, width: 8, batch_size: 1, eval_height: 8, eval_width: 8, n_test_views: 2, camera_perturb: 0.0,
     camera_distance_range: [3.8, 3.8], fovy_range: [20, 20]}
system_type: zero123-system
system:
  geometry_type: implicit-volume
  geometry:
    radius: 0.7
    density_bias: 2.0
    visual_hull: true
    isosurface_resolution: 24
    pos_encoding_config: {otype: HashGrid, n_levels: 2, log2_hashmap_size: 8}
    mlp_network_config:
      {otype: VanillaMLP, activation: ReLU, output_activation: none, n_neurons: 8, n_hidden_layers: 1}
  material_type: no-material
  background_type: solid-color-background
  renderer_type: nerf-volume-renderer
  renderer: {radius: 0.7, num_samples_per_ray: 16}
  guidance_type: cascade-zero123-guidance
  guidance:
    cascade:
      - {weights: base, steps: 1}
      - {weights: refiner}
    cond_elevation_deg: 10.0
    cond_camera_distance: 3.8
    cache_dir: null
  warm_start_views: 3
  warm_start_steps: 1
  loss: {lambda_sds: 0.01, lambda_rgb: 10.0, lambda_mask: 1.0, lambda_warm_rgb: 1.0}
  optimizer: {name: Adam, args: {lr: 0.01}}
  exporter: {texture_size: 64, fmt: glb}
trainer: {max_steps: 2, num_sanity_val_steps: 0, limit_val_batches: 0, enable_progress_bar: false}
checkpoint: {save_last: true, save_top_k: -1, every_n_train_steps: 2}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the config with a change; returns the names of the saved views and the mesh."""
    save_tiny_cascade(tmp_path)
    save_zero123(tiny_model(seed=2), tmp_path / "third")
    Image.fromarray((ball_picture(48) * 255).byte().numpy()).save(tmp_path / "ball.png")
    Image.fromarray((ball_picture(48) * 255).byte().numpy()).save(tmp_path / "back.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")

    def run(change):
        config = yaml.safe_load(CONFIG)
        change(config)
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config))
        assert launch.main(["--config", "tiny.yaml", "--train"]) == 0
        save = tmp_path / "outputs/tiny/ball/save"
        return sorted(path.stem for path in (save / "prompt-views").iterdir()), read_glb(save / "it2-export/model.glb")

    return run


def test_a_third_model_joins_the_cascade_by_yaml_alone(run):
    entry = {"weights": "third", "steps": 1, "views": [[180, 0], [45, 0]], "chain": True}
    names, mesh = run(lambda config: config["system"]["guidance"]["cascade"].insert(1, entry))
    assert names == ["0_azimuth_-45", "1_elevation_+30", "2_azimuth_+180", "3_azimuth_+45"]
    assert len(mesh.faces) > 100


def test_a_second_picture_from_behind_is_shown_and_fitted_by_yaml_alone(run):
    back = {"back.png": {"azimuth": 180, "elevation": 10}}
    names, mesh = run(lambda config: config["data"].update(pictures=back))
    assert names == ["0_picture_azimuth_+180", "1_azimuth_+45", "2_azimuth_-45", "3_elevation_+30"]
    assert len(mesh.faces) > 100
