"""Folders as the hub has them, made here from a tiny model; the hub itself is a stand-in."""

import json
import os
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights import hub
from cascade_zero123.zero123.weights import loading as weights
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123, weights_files
from safetensors.torch import load_file, save_file
from tiny_ldm import tiny_state, write_ckpt, write_config

UNET, VAE = "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return load_zero123(write_ckpt(folder / "tiny.ckpt", tiny_state()), config=write_config(folder))


@pytest.fixture
def kxic(model, tmp_path):
    """Pickled weights, `cc_projection` with prefixed keys, the autoencoder's attention by its old names."""
    folder = tmp_path / "zero123-xl"
    save_zero123(model, folder)
    (folder / "zero123.json").unlink()
    projection = load_file(folder / "cc_projection/model.safetensors")
    projection = {f"projection.{key}": value for key, value in projection.items()}
    save_file(projection, folder / "cc_projection/diffusion_pytorch_model.safetensors")
    (folder / "cc_projection/model.safetensors").unlink()
    (folder / "cc_projection/config.json").write_text('{"_class_name": "CCProjection"}')
    for file in list(folder.rglob("*.safetensors")):
        tensors = {old_name(key): value for key, value in load_file(file).items()}
        name = "pytorch_model.bin" if file.name == "model.safetensors" else f"{file.stem}.bin"
        torch.save(tensors, file.with_name(name))
        file.unlink()
    embeddings = torch.load(folder / "image_encoder/pytorch_model.bin")
    embeddings["vision_model.embeddings.position_ids"] = torch.arange(10)[None]
    torch.save(embeddings, folder / "image_encoder/pytorch_model.bin")
    return folder


@pytest.fixture
def bennyguo(model, tmp_path):
    """`clip_camera_projection`, and a U-Net in variants of which one is the moving average."""
    folder = tmp_path / "zero123-xl-diffusers"
    save_zero123(model, folder)
    (folder / "zero123.json").unlink()
    projection = load_file(folder / "cc_projection/model.safetensors")
    (folder / "clip_camera_projection").mkdir()
    projection = {f"proj.{key}": value for key, value in projection.items()}
    save_file(projection, folder / "clip_camera_projection/diffusion_pytorch_model.safetensors")
    (folder / "cc_projection/model.safetensors").unlink()
    (folder / "cc_projection").rmdir()
    for part in (UNET, VAE):
        tensors = load_file(folder / f"{part}.safetensors")
        save_file({key: value.half() for key, value in tensors.items()}, folder / f"{part}.fp16_ema.safetensors")
        others = {key: 2 * value if part == UNET else value for key, value in tensors.items()}
        save_file(others, folder / f"{part}.safetensors")
        save_file({key: value.half() for key, value in others.items()}, folder / f"{part}.fp16.safetensors")
    return folder


def old_name(key):
    for new, old in OLD_NAMES.items():
        key = key.replace(f"mid_block.attentions.0.{new}.", f"mid_block.attentions.0.{old}.")
    return key


def same(found, expected):
    assert found.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in expected.state_dict().items())


def test_pickled_folders_with_prefixed_projection_and_old_attention_load_the_same_model(kxic, model):
    assert "decoder.mid_block.attentions.0.query.weight" in torch.load(kxic / f"{VAE}.bin")
    same(load_zero123(kxic), model)
    assert all(file.is_file() for file in weights_files(kxic))


def test_folders_with_a_clip_camera_projection_load_it(bennyguo, model):
    same(load_zero123(bennyguo).cc_projection, model.cc_projection)


def test_of_a_unet_s_variants_the_moving_average_is_the_model_and_of_others_the_plain_one(bennyguo, model):
    loaded = load_zero123(bennyguo)
    assert torch.equal(loaded.unet.conv_in.weight, model.unet.conv_in.weight.half().float())
    same(loaded.vae, model.vae)
    names = {file.name for file in weights_files(bennyguo) if file.suffix != ".json"}
    assert "diffusion_pytorch_model.fp16_ema.safetensors" in names and len(names) == 3


def test_weights_that_are_called_no_moving_average_are_none(bennyguo, model):
    file = bennyguo / "unet/diffusion_pytorch_model.fp16_ema.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.fp16.non_ema.safetensors"))
    save_file(model.unet.state_dict(), file.with_name("diffusion_pytorch_model.safetensors"))
    names = {file.name for file in weights_files(bennyguo) if file.parent.name == "unet"}
    assert names == {"config.json", "diffusion_pytorch_model.safetensors"}


def test_folders_without_settings_are_of_the_published_image_size(bennyguo):
    loaded = load_zero123(bennyguo)
    assert loaded.settings.image_size == 256
    assert loaded.unet.config.sample_size == 256 // 2  # this tiny autoencoder halves; the published one divides by 8


def test_the_name_says_which_pose_token_unless_the_settings_do(bennyguo, model):
    stable = bennyguo.rename(bennyguo.with_name("stable-zero123-diffusers"))
    assert load_zero123(stable).settings.pose_token == "stable-zero123"
    ours = stable.with_name("stable-zero123-ours")
    save_zero123(model, ours)
    assert load_zero123(ours).settings.pose_token == "zero123"
    (ours / "zero123.json").write_text(json.dumps({"image_size": model.settings.image_size}))
    assert load_zero123(ours).settings.pose_token == "stable-zero123"


def test_schedulers_of_other_classes_never_clip_latents(bennyguo):
    file = bennyguo / "scheduler/scheduler_config.json"
    config = json.loads(file.read_text())
    del config["clip_sample"]
    file.write_text(json.dumps(config | {"_class_name": "PNDMScheduler", "skip_prk_steps": True}))
    assert not load_zero123(bennyguo).scheduler().config.clip_sample


def test_a_pickled_folder_that_runs_something_is_refused(kxic, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"conv_in.weight": Evil()}, kxic / f"{UNET}.bin")
    with pytest.raises(UserError, match="os.system"):
        load_zero123(kxic)
    assert not (tmp_path / "ran").exists()


def test_parts_of_different_models_are_refused(bennyguo):
    file = bennyguo / "clip_camera_projection/diffusion_pytorch_model.safetensors"
    save_file({"proj.weight": torch.zeros(16, 7), "proj.bias": torch.zeros(16)}, file)
    with pytest.raises(UserError, match="cc_projection takes 7 channels, expected 16"):
        load_zero123(bennyguo)


def test_weights_in_pieces_are_explained(bennyguo):
    for file in (bennyguo / "unet").glob("*.safetensors"):
        file.unlink()
    (bennyguo / f"{UNET}.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="several pieces"):
        load_zero123(bennyguo)


# --- The hub ---


@pytest.fixture
def hub_with(monkeypatch, tmp_path):
    """A hub that has `folder` and more as owner/name, and records what is asked of it; `cached` is here already."""

    def files(folder):
        return [file for file in folder.rglob("*") if file.is_file()]

    def make(folder, cached=None):
        asked = SimpleNamespace(files=None, downloads=0)
        names = [str(file.relative_to(folder)) for file in files(folder)]
        names += ["README.md", "feature_extractor/preprocessor_config.json", "safety_checker/model.safetensors"]

        class Api:
            def model_info(self, name, files_metadata):
                return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n, size=1_000_000_000) for n in names])

        def snapshot_download(name, local_files_only=False, allow_patterns=None):
            if not local_files_only:
                asked.files, asked.downloads = allow_patterns, asked.downloads + 1
            elif cached is None or not set(allow_patterns or names) <= {
                str(f.relative_to(cached)) for f in files(cached)
            }:
                raise huggingface_hub.errors.LocalEntryNotFoundError("not cached, or not all of it")
            return str(cached if local_files_only else folder)

        monkeypatch.setattr(huggingface_hub, "HfApi", Api)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return asked

    return make


def test_a_hub_id_is_fetched_after_saying_how_much_and_only_what_is_read(bennyguo, hub_with, caplog):
    asked = hub_with(bennyguo)
    with caplog.at_level("INFO"):
        load_zero123("hub:owner/zero123-xl-diffusers")
    assert "Downloading owner/zero123-xl-diffusers from huggingface.co: 8 files, 8.0 GB" in caplog.text
    assert sorted(asked.files) == [
        "clip_camera_projection/diffusion_pytorch_model.safetensors",
        "image_encoder/config.json",
        "image_encoder/model.safetensors",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16_ema.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_a_cached_hub_model_needs_no_connection(bennyguo, hub_with, monkeypatch):
    asked = hub_with(bennyguo, cached=bennyguo)
    monkeypatch.setattr(huggingface_hub, "HfApi", None)
    load_zero123("hub:owner/zero123-xl-diffusers")
    assert asked.downloads == 0


def test_what_an_interrupted_download_left_is_completed(bennyguo, hub_with, tmp_path):
    left = tmp_path / "left"
    shutil.copytree(bennyguo / "unet", left / "unet")
    asked = hub_with(bennyguo, cached=left)
    load_zero123("hub:owner/zero123-xl-diffusers")
    assert asked.downloads == 1


def test_offline_a_hub_id_is_explained_in_one_line(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match="not in the hub's cache, and not to be had from https://huggingface.co/"
    ) as caught:
        load_zero123("hub:nobody/zero123-of-no-name")
    assert "\n" not in str(caught.value)


def test_a_repository_of_something_else_is_refused_before_it_is_fetched(tmp_path, hub_with):
    (tmp_path / "model.safetensors").write_text("")
    asked = hub_with(tmp_path)
    with pytest.raises(UserError, match="has no unet/"):
        load_zero123("hub:owner/name")
    assert asked.downloads == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("kxic/zero123-xl", True),
        ("load/zero123-xl.ckpt", False),
        ("owner/name.safetensors", False),
        ("load/nowhere", False),
        ("./kxic/zero123-xl", False),
        ("/kxic/zero123-xl", False),
        ("a/b/c", False),
        ("name", False),
    ],
)
def test_hub_ids_are_told_from_places_on_disk(path, expected, tmp_path, monkeypatch):
    (tmp_path / "load").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hub.looks_like_hub_id(path) == expected


def test_a_mistyped_path_of_two_parts_asks_nobody(monkeypatch):
    monkeypatch.setattr(hub, "hub_folder", None)
    with pytest.raises(UserError) as caught:
        load_zero123("weigths/zero123-xl")
    named = "weigths/zero123-xl: no such folder of Zero-1-to-3 weights; a model of the hub is written hub:"
    assert str(caught.value) == f"{named}weigths/zero123-xl"


@pytest.mark.parametrize("written", ["hub:", "hub:name", "hub:a/b/c", "hub:../etc", "hub:https://x/y"])
def test_what_is_no_hub_id_is_refused_by_its_form(written):
    with pytest.raises(UserError, match=f"^{written}: expected hub:owner/name$"):
        load_zero123(written)


@pytest.mark.parametrize(
    "pipeline, why",
    [
        ("Zero123PlusPipeline", "Zero123\\+\\+ makes six views from fixed cameras in one picture and takes no pose"),
        ("StableDiffusionPipeline", "it has no image_encoder and no cc_projection, so it takes no pose"),
    ],
)
def test_another_model_in_the_same_layout_is_named(tmp_path, pipeline, why):
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    with pytest.raises(UserError, match=f"^{tmp_path}: a {pipeline}, not a Zero-1-to-3: {why}; name weights of Zero"):
        load_zero123(tmp_path)


def test_weights_that_ship_with_the_project_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (weights.located("load/cascade-zero123-tiny/base") / "unet").is_dir()


@pytest.mark.parametrize("file", ["zero123.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_pipe_among_the_weights_is_not_opened(bennyguo, tmp_path, file):
    shutil.copytree(bennyguo, tmp_path / "model")
    for path in [*(tmp_path / "model").glob(f"{file.split('.')[0]}*"), tmp_path / "model" / file]:
        path.unlink(missing_ok=True)
    os.mkfifo(tmp_path / "model" / file)
    with pytest.raises(UserError, match="a pipe or a device; expected a regular file"):
        load_zero123(tmp_path / "model")
