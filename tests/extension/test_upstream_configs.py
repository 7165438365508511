"""The extension's own configs run in an upstream checkout (0.2.3): its launch.py, its components, its keys.

Upstream parses a block by `Config(**block)`, so that one key that it does not have ends the run.
"""

import ast
from pathlib import Path

import cascade_zero123.guidance
import pytest
from omegaconf import OmegaConf

import threestudio
from threestudio.utils.config import load_config, parse_structured

EXTENSION = Path(cascade_zero123.guidance.__file__).parent
CONFIGS = sorted((EXTENSION / "configs").glob("*.yaml"))
# What upstream's launch.py passes to Lightning's Trainer beside the block `trainer`.
PASSED_BY_LAUNCH = {"callbacks", "logger", "inference_mode", "accelerator", "devices"}
COMPONENTS = {"single-image-datamodule", "zero123-system", "implicit-volume", "no-material", "nerf-volume-renderer"}
COMPONENTS |= {"solid-color-background", "dummy-prompt-processor"}
EXPERIMENT = "name description tag seed use_timestamp timestamp exp_root_dir resume data_type data system_type system"
KEYS = {
    "": f"{EXPERIMENT} trainer checkpoint n_gpus exp_dir trial_name trial_dir",
    "data": "height width resolution_milestones default_elevation_deg default_azimuth_deg default_camera_distance"
    " default_fovy_deg image_path use_random_camera random_camera rays_noise_scale batch_size requires_depth"
    " requires_normal rays_d_normalize",
    "data.random_camera": "height width batch_size resolution_milestones eval_height eval_width eval_batch_size"
    " n_val_views n_test_views elevation_range azimuth_range camera_distance_range fovy_range camera_perturb"
    " center_perturb up_perturb light_position_perturb light_distance_range eval_elevation_deg eval_camera_distance"
    " eval_fovy_deg light_sample_strategy batch_uniform_azimuth progressive_until rays_d_normalize",
    "system": "loggers loss optimizer scheduler weights weights_ignore_modules cleanup_after_validation_step"
    " cleanup_after_test_step geometry_type geometry geometry_convert_from geometry_convert_inherit_texture"
    " geometry_convert_override material_type material background_type background renderer_type renderer guidance_type"
    " guidance prompt_processor_type prompt_processor exporter_type exporter freq refinement ambient_ratio_min",
    "system.geometry": "radius isosurface isosurface_method isosurface_resolution isosurface_threshold isosurface_chunk"
    " isosurface_coarse_to_fine isosurface_deformable_grid isosurface_remove_outliers"
    " isosurface_outlier_n_faces_threshold n_input_dims n_feature_dims density_activation density_bias"
    " density_blob_scale density_blob_std pos_encoding_config mlp_network_config normal_type"
    " finite_difference_normal_eps weights",
    "system.material": "n_output_dims color_activation mlp_network_config requires_normal weights",
    "system.renderer": "radius num_samples_per_ray eval_chunk_size randomized near_plane far_plane return_comp_normal"
    " return_normal_perturb grid_prune prune_alpha_threshold estimator weights",
}
# The data module and the system of the extension's own; upstream's are checked by KEYS.
OWN = ("picture-file-datamodule", "rendered-views-datamodule", "novel-view-system", "zero123-training-system")


def registered_by_the_extension():
    for file in EXTENSION.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from (
                    call.args[0].value for call in node.decorator_list if isinstance(call, ast.Call) and call.args
                )


def types_in(value):
    for key, inner in value.items():
        if key.endswith("_type") and key != "normal_type":
            yield inner
        elif isinstance(inner, dict):
            yield from types_in(inner)


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request):
    return OmegaConf.to_container(OmegaConf.load(request.param), resolve=False)


def test_image_to_3d_novel_views_and_training_have_one():
    assert [path.stem for path in CONFIGS] == ["cascade-zero123", "novel-view", "train-refiner"]


def test_every_component_is_upstream_s_or_the_extension_s(config):
    assert set(types_in(config)) <= COMPONENTS | set(registered_by_the_extension())


def test_nothing_is_passed_to_the_trainer_twice(config):
    assert not PASSED_BY_LAUNCH & set(config["trainer"])


def test_upstream_s_components_have_every_key(config):
    for path, keys in KEYS.items():
        names = path.split(".") if path else []
        if names and config[f"{names[0]}_type"] in OWN:
            continue
        block = config
        for name in names:
            block = block[name]
        assert set(block) <= set(keys.split()), path


def test_after_training_there_is_nothing_to_test():
    """Upstream's launch.py asks for tests after every training."""
    views = {"train_folder": "train", "val_folder": "val"}
    assert len(threestudio.find("rendered-views-datamodule")(views).test_dataloader()) == 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_this_runtime_takes_them_too(path):
    cfg = load_config(str(path))
    for block in (cfg.data, cfg.system):
        component = threestudio.find(cfg.data_type if block is cfg.data else cfg.system_type)
        if hasattr(component, "Config"):
            parse_structured(component.Config, block)
        else:
            component(block)
    for part in ("geometry", "material", "background", "renderer", "guidance", "prompt_processor"):
        if f"{part}_type" in cfg.system:
            parse_structured(threestudio.find(cfg.system[f"{part}_type"]).Config, cfg.system.get(part, {}))
