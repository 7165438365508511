"""The batch of the source picture, and that a resumed run sees what an uninterrupted one sees."""

import math

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

import threestudio
from threestudio.errors import UserError
from threestudio.utils.misc import set_seed


@pytest.fixture(autouse=True)
def seed():
    set_seed(3)
    yield
    set_seed(0)


@pytest.fixture
def image_path(tmp_path):
    """A red box whose right half is blue."""
    rgba = np.zeros((80, 100, 4), dtype=np.uint8)
    rgba[20:60, 30:50] = (255, 0, 0, 255)
    rgba[20:60, 50:70] = (0, 0, 255, 255)
    Image.fromarray(rgba).save(tmp_path / "cat_rgba.png")
    return str(tmp_path / "cat_rgba.png")


def data_module(image_path, **keys):
    cameras = {"height": 4, "width": 4, "batch_size": 2, "n_val_views": 3, "n_test_views": 2, "eval_height": 8}
    given = {"image_path": image_path, "height": 16, "width": 16, "random_camera": cameras | {"eval_width": 8}}
    return threestudio.find("single-image-datamodule")(given | keys)


def train_dataset(image_path, **keys):
    module = data_module(image_path, **keys)
    module.setup("fit")
    return module.train_dataset


def test_the_batch_holds_the_picture_its_camera_and_random_cameras(image_path):
    batch = train_dataset(image_path, default_fovy_deg=20.0, default_elevation_deg=10.0).collate(0)
    assert batch["rgb"].shape == (1, 16, 16, 3) and batch["rgba"].shape == (1, 16, 16, 4)
    assert batch["mask"].shape == (1, 16, 16, 1) and batch["mask"].dtype == torch.bool
    assert batch["rays_o"].shape == batch["rays_d"].shape == (1, 16, 16, 3)
    assert batch["elevation"].item() == 10.0 and batch["fovy"].item() == pytest.approx(math.radians(20))
    assert batch["random_camera"]["rays_o"].shape == (2, 4, 4, 3)
    assert batch["ref_depth"] is None and batch["ref_normal"] is None
    assert (batch["height"], batch["width"]) == (16, 16)


def test_the_picture_is_neither_mirrored_nor_upside_down(image_path):
    batch = train_dataset(image_path, default_azimuth_deg=0.0, rays_noise_scale=0.0).collate(0)
    left, right = batch["rgb"][0, 8, 5], batch["rgb"][0, 8, 10]
    assert left[0] > 0.9 > 0.1 > left[2] and right[2] > 0.9 > 0.1 > right[0]
    assert batch["rays_d"][0, 8, 10, 1] > 0 > batch["rays_d"][0, 8, 5, 1]


def test_rays_are_shifted_anew_each_step_and_the_same_again_for_the_same_step(image_path):
    dataset = train_dataset(image_path, rays_noise_scale=0.01)
    first, second, again = (dataset.collate(step)["rays_d"] for step in (0, 1, 0))
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert (first - second).abs().max() < 0.1
    assert torch.allclose(first.norm(dim=-1), torch.ones(1, 16, 16))


def test_without_noise_the_rays_are_exact(image_path):
    dataset = train_dataset(image_path, rays_noise_scale=0.0)
    assert torch.equal(dataset.collate(0)["rays_d"], dataset.collate(9)["rays_d"])


def test_the_resolution_follows_the_milestones(image_path):
    dataset = train_dataset(image_path, height=[8, 16], width=[8, 16], resolution_milestones=[5])
    assert dataset.collate(4)["rgb"].shape == (1, 8, 8, 3)
    assert dataset.collate(5)["rgb"].shape == (1, 16, 16, 3)
    dataset.do_update_step(0, 5)
    assert dataset.get_all_images().shape == (1, 16, 16, 3)


def test_random_cameras_can_be_left_out(image_path):
    assert "random_camera" not in train_dataset(image_path, use_random_camera=False).collate(0)


def test_depth_and_normals_lie_beside_the_picture(image_path, tmp_path):
    depth = np.zeros((80, 100), dtype=np.uint8)
    depth[20:60, 30:70] = 255
    Image.fromarray(depth).save(tmp_path / "cat_depth.png")
    Image.fromarray(np.dstack([depth, depth, depth])).save(tmp_path / "cat_normal.png")
    batch = train_dataset(image_path, requires_depth=True, requires_normal=True).collate(0)
    assert batch["ref_depth"].shape == (1, 16, 16, 1) and batch["ref_normal"].shape == (1, 16, 16, 3)
    assert torch.equal(batch["ref_depth"] > 0.5, batch["mask"])


def test_a_missing_depth_file_is_named(image_path, tmp_path):
    dataset = train_dataset(image_path, requires_depth=True)
    with pytest.raises(UserError) as caught:
        dataset.collate(0)
    assert str(caught.value) == f"{tmp_path}/cat_depth.png: not found; it belongs to {image_path}"


def test_validation_and_test_are_turntables(image_path):
    module = data_module(image_path)
    module.setup()
    assert [len(module.val_dataset), len(module.test_dataset)] == [3, 2]
    assert next(iter(module.test_dataloader()))["rays_o"].shape == (1, 8, 8, 3)


def test_testing_alone_does_not_need_the_picture():
    data_module("no-such.png").setup("test")
    with pytest.raises(UserError, match="no-such.png: not found; check data.image_path"):
        data_module("no-such.png").setup("fit")


def test_the_prepared_picture_is_saved(image_path, tmp_path):
    data_module(image_path).save_input(tmp_path / "save")
    assert Image.open(tmp_path / "save" / "input.png").mode == "RGBA"


def test_the_field_is_fitted_without_white_parts_if_asked_for(image_path, tmp_path, caplog):
    rgba = np.array(Image.open(image_path).convert("RGBA"))
    rgba[len(rgba) // 2 :, :, :3] = 255
    Image.fromarray(rgba).save(tmp_path / "half_white.png")
    as_it_is, filled = (data_module(tmp_path / "half_white.png", fill_white=fill) for fill in (False, True))
    assert as_it_is.fitted is as_it_is.picture
    with caplog.at_level("INFO"):
        target = filled.fitted.rgba
        filled.save_input(tmp_path / "save")
    assert "of the object is nearly white" in caplog.text
    opaque = filled.picture.rgba[..., 3] == 1
    assert filled.picture.rgba[opaque][:, :3].min(axis=-1).max() == 1.0
    assert target[opaque][:, :3].min(axis=-1).max() < 0.8
    assert np.array_equal(target[..., 3], filled.picture.rgba[..., 3])
    assert np.abs(np.asarray(Image.open(tmp_path / "save/fitted.png")) / 255 - target).max() < 0.003


def test_a_model_that_sees_opacity_is_shown_white_whatever_is_asked_for(image_path):
    module = data_module(image_path, fill_white=True)
    module.setup("fit")
    module.keep_white()
    assert module.fitted is module.train_dataset.source.picture is module.picture


class Recorder(pl.LightningModule):
    """Trains one number, and remembers what it was shown; tells the data of its step as the systems do."""

    def __init__(self):
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(()))
        self.seen = {}
        self.automatic_optimization = True

    def on_train_batch_start(self, batch, batch_idx):
        self.trainer.train_dataloader.dataset.do_update_step(self.current_epoch, self.global_step)

    def training_step(self, batch, batch_idx):
        azimuth = batch["random_camera"]["azimuth"]
        self.seen[self.global_step] = (*azimuth.tolist(), *batch["rays_d"][0, 0, 0].tolist(), batch["height"])
        return self.number**2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(image_path, folder, max_steps, ckpt_path=None):
    module = data_module(image_path, height=[8, 16], width=[8, 16], resolution_milestones=[5])
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_steps=max_steps, accelerator="cpu", limit_val_batches=0, enable_checkpointing=False, **quiet
    )
    recorder = Recorder()
    trainer.fit(recorder, datamodule=module, ckpt_path=ckpt_path)
    trainer.save_checkpoint(folder / f"{max_steps}.ckpt")
    return recorder.seen


def test_a_resumed_run_is_shown_what_an_uninterrupted_one_is_shown(image_path, tmp_path):
    whole = fit(image_path, tmp_path, 8)
    begun = fit(image_path, tmp_path, 3)
    resumed = fit(image_path, tmp_path, 8, ckpt_path=tmp_path / "3.ckpt")
    assert list(begun) == [0, 1, 2] and list(resumed) == [3, 4, 5, 6, 7]
    assert begun | resumed == whole
    assert [whole[step][-1] for step in range(8)] == [8, 8, 8, 8, 8, 16, 16, 16]
