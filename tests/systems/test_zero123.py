import shutil

import cascade_zero123.guidance  # noqa: F401  (registers it)
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from batch_stand_ins import save_pictures
from PIL import Image
from tiny_zero123 import ball_picture, save_tiny_cascade

import threestudio
from threestudio.errors import UserError
from threestudio.systems.run_pictures import source_of_run
from threestudio.systems.zero123 import SDS, WARM_START
from threestudio.utils.misc import set_seed

CAMERA = {"elevation_deg": 10.0, "azimuth_deg": 0.0, "camera_distance": 3.8, "fovy_deg": 20.0}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save_tiny_cascade(folder)
    Image.fromarray((ball_picture(48) * 255).byte().numpy()).save(folder / "ball.png")
    return folder


@pytest.fixture
def make(files, tmp_path):
    """A system and its data module, as launch.py makes them."""

    def make(**changes):
        set_seed(0)
        torch.manual_seed(0)
        data = threestudio.find("single-image-datamodule")(
            {
                "image_path": str(files / "ball.png"),
                "height": 16,
                "width": 16,
                **{f"default_{key}": value for key, value in CAMERA.items()},
                "random_camera": {"height": 8, "width": 8, "batch_size": 2, "eval_height": 8, "eval_width": 8}
                | {"camera_distance_range": [3.8, 3.8], "fovy_range": [20, 20], "camera_perturb": 0.0},
            }
        )
        losses = {"rgb": 10.0, "mask": 1.0, "warm_rgb": 10.0, "warm_mask": 1.0, "sds": 0.01}
        system = threestudio.find("zero123-system")(
            {
                "geometry_type": "implicit-volume",
                "geometry": {
                    "density_bias": -1.0,
                    "pos_encoding_config": {"otype": "HashGrid", "n_levels": 2, "log2_hashmap_size": 8},
                    "mlp_network_config": {"otype": "VanillaMLP", "n_neurons": 8, "n_hidden_layers": 1}
                    | {"activation": "ReLU", "output_activation": "none"},
                },
                "material_type": "no-material",
                "background_type": "solid-color-background",
                "renderer_type": "nerf-volume-renderer",
                "renderer": {"num_samples_per_ray": 16, "return_comp_normal": True, "return_normal_perturb": True},
                "guidance_type": "cascade-zero123-guidance",
                "guidance": {
                    "base": {"weights": str(files / "base")},
                    "refiner": {"weights": str(files / "refiner")},
                    "cond_elevation_deg": 10.0,
                    "cond_camera_distance": 3.8,
                    "prompt_steps": 2,
                    "cache_dir": str(tmp_path / "cache"),
                },
                "loss": {f"lambda_{name}": value for name, value in losses.items()},
                "optimizer": {"name": "Adam", "args": {"lr": 0.01}},
            }
            | changes
        )
        system.set_save_dir(str(tmp_path / "save"))
        return system, data

    return make


def trained(system, data, steps, resume=None, checkpoint=None):
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        inference_mode=False,
    )
    trainer.fit(system, datamodule=data, ckpt_path=resume, weights_only=False)
    if checkpoint is not None:
        trainer.save_checkpoint(checkpoint)
    return {key: float(value) for key, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(make, tmp_path, stop):
    """Stopped in the warm start (steps 0 and 1) and in SDS."""
    warm = {"warm_start_views": 3, "warm_start_steps": 2, "warm_start_batch": 2}
    whole, data = make(**warm)
    trained(whole, data, 4)
    first, data = make(**warm)
    trained(first, data, stop, checkpoint=tmp_path / "half.ckpt")
    second, data = make(**warm)
    trained(second, data, 4, resume=tmp_path / "half.ckpt")
    for (name, expected), found in zip(whole.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(found, expected), name


def test_the_field_changes_and_the_pictures_are_saved(make, tmp_path):
    system, data = make()
    before = {name: value.clone() for name, value in system.geometry.named_parameters()}
    metrics = trained(system, data, 2)
    assert {"train/loss_zero123_sds", "train/loss_ref_rgb", "train/loss_ref_mask", "train/loss"} <= set(metrics)
    assert all(not torch.equal(value, before[name]) for name, value in system.geometry.named_parameters())
    assert (tmp_path / "save/input.png").is_file() and (tmp_path / "save/input_16.png").is_file()
    names = sorted(path.name for path in (tmp_path / "save/prompt-views").iterdir())
    assert names == ["0_azimuth_+45.png", "1_azimuth_-45.png", "2_elevation_+30.png"]


def test_the_guidance_is_handed_the_rendering_s_opacity(make, monkeypatch):
    guidance, seen = threestudio.find("cascade-zero123-guidance"), []
    call = guidance.__call__
    monkeypatch.setattr(guidance, "__call__", lambda self, rgb, **given: seen.append(given) or call(self, rgb, **given))
    system, data = make()
    trained(system, data, 1)
    opacity = seen[0]["opacity"]
    assert opacity.shape == (2, 8, 8, 1) and opacity.requires_grad and 0 < opacity.mean() < 1


def test_the_stage_follows_the_step(make):
    system, _ = make(warm_start_views=3, warm_start_steps=2)
    for step, stage in ((0, WARM_START), (1, WARM_START), (2, SDS)):
        system.set_resume_status(0, step)
        assert system.stage == stage
    assert make(warm_start_steps=2)[0].stage == SDS


@pytest.mark.parametrize("until, kept", [(5, True), (2, False)])
def test_the_predicted_views_stay_beside_sds_while_they_have_weight(make, until, kept):
    losses = {"lambda_rgb": 1.0, "lambda_sds": 0.01, "lambda_warm_rgb": [1, 10.0, 0.0, until]}
    system, data = make(warm_start_views=3, warm_start_steps=1, warm_start_batch=2, loss=losses)
    original, taken = system.parts, []

    def spy(batch):
        taken.append([])
        for part, terms in original(batch):
            taken[-1].append(part)
            yield part, terms

    system.parts = spy
    trained(system, data, 3)
    assert taken[0] == ["warm", "ref"]
    assert taken[2] == (["zero123", "warm", "ref"] if kept else ["zero123", "ref"])


def test_every_loss_can_be_asked_for_and_is_finite(make):
    names = ("sds", "rgb", "mask", "normal_smooth", "3d_normal_smooth", "orient", "sparsity", "opaque", "distortion")
    system, data = make(loss={f"lambda_{name}": 1.0 for name in names})
    metrics = trained(system, data, 1)
    for name in names:
        part = "ref" if name in ("rgb", "mask") else "zero123"
        assert torch.tensor(metrics[f"train/loss_{part}_{name}"]).isfinite(), name


def test_normals_are_computed_only_where_a_loss_asks_for_them_and_only_every_so_often(make):
    def steps_with_normals(**changes):
        system, data = make(**changes)
        forward, steps = system.geometry.forward, set()

        def spy(points, output_normal=False):
            steps.update({system.true_global_step} if output_normal else ())
            return forward(points, output_normal=output_normal)

        system.geometry.forward = spy
        trained(system, data, 3)
        return steps

    assert steps_with_normals() == set()
    assert steps_with_normals(loss={"lambda_sds": 0.01, "lambda_orient": 1.0}, freq={"normal": 2}) == {0, 2}


def test_alternating_steps_take_one_rendering_each(make):
    system, data = make(freq={"ref_or_zero123": "alternate", "n_ref": 2})
    metrics = trained(system, data, 1)
    assert "train/loss_ref_rgb" in metrics and "train/loss_zero123_sds" not in metrics
    system, data = make(freq={"ref_or_zero123": "alternate", "n_ref": 2})
    assert "train/loss_zero123_sds" in trained(system, data, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"lambda_sparsty": 1.0}}, "unknown key lambda_sparsty; did you mean lambda_sparsity"),
        ({"freq": {"guidance_evl": 1}}, "guidance_evl"),
        (
            {"freq": {"ref_or_zero123": "both"}},
            'freq.ref_or_zero123: "both" is unknown; known are accumulate, alternate',
        ),
        ({"freq": {"normal": 0}}, "freq.normal: 0 is not within 1 and"),
        ({"warm_start_batch": 0}, "warm_start_batch: 0 is not within 1 and"),
        ({"loss": {"lambda_normal_smooth": 1.0}, "renderer": {}}, "needs system.renderer.return_comp_normal=true"),
        ({"freq": {"n_ref": 0}}, "n_ref: 0 is not within 1 and"),
        (
            {"warm_start_views": 3, "warm_start_elevations_deg": []},
            "warm_start_elevations_deg: empty; give an elevation, or warm_start_views=0",
        ),
        ({"surface": {"faces": 10}}, "surface.faces: 10 is not within 100 and"),
    ],
    ids=["loss", "frequency", "order", "normals", "batch", "rendering", "turns", "rings", "surface"],
)
def test_wrong_settings_are_named(make, changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)


def test_without_random_cameras_there_is_nothing_to_guide(make):
    system, data = make()
    data.cfg.use_random_camera = False
    with pytest.raises(UserError, match="data.use_random_camera: false; cascade-zero123-guidance needs random cameras"):
        trained(system, data, 1)


def test_an_export_has_the_further_pictures_that_the_field_was_fitted_to(make, tmp_path):
    system, data = make()
    save_pictures(tmp_path / "sides", back=(0.2, 0.3, 0.9))
    data.cfg.pictures = {str(tmp_path / "sides/back.png"): {"azimuth": 180, "elevation": 5}}
    trained(system, data, 1)
    shutil.rmtree(tmp_path / "sides")
    _, moved = make()
    moved.cfg.pictures = dict(data.cfg.pictures)
    (back,) = source_of_run(system.get_save_dir(), moved).further
    assert abs(back.rgba - data.further[0][0].rgba).max() <= 0.5 / 255 + 1e-6
    assert np.allclose(back.c2w, data.further[0][1].c2w[0].numpy())
    moved.cfg.fit_pictures = False
    assert source_of_run(system.get_save_dir(), moved).further == []


def test_an_export_needs_the_picture_no_more(make, tmp_path):
    system, data = make()
    trained(system, data, 1)
    before = source_of_run(system.get_save_dir(), data)
    _, moved = make()
    moved.cfg.image_path = str(tmp_path / "moved.png")
    after = source_of_run(system.get_save_dir(), moved)
    assert torch.equal(torch.from_numpy(after.rgba), torch.from_numpy(before.rgba))
    assert abs(after.rgba - data.picture.rgba).max() <= 0.5 / 255 + 1e-6
