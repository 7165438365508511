import dataclasses
import json
import math
import shutil

import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.model import Settings
from cascade_zero123.zero123.weights import diffusers_folder
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123, weights_files
from safetensors.torch import load_file, save_file
from tiny_zero123 import save_tiny_cascade, tiny_model

NAN, INFINITY = math.nan, math.inf
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    return save_tiny_cascade(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def base(cascade, tmp_path):
    return shutil.copytree(cascade / "base", tmp_path / "model")


def refused(folder, *parts):
    with pytest.raises(UserError) as caught:
        load_zero123(folder)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def edit(file, change):
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def edit_json(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_what_was_saved_is_loaded_back(base):
    model, again = tiny_model(seed=0), load_zero123(base)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value)
    assert again.settings == model.settings
    assert again.scheduler().config.prediction_type == "v_prediction"
    assert again.scheduler().alphas_cumprod[-1] == 0
    assert not again.training and not any(p.requires_grad for p in again.parameters())


def test_a_refiner_without_autoencoder_and_encoder_shares_those_of_base(cascade):
    assert not (cascade / "refiner" / "vae").exists()
    base, refiner = load_zero123(cascade / "base"), load_zero123(cascade / "refiner")
    torch.testing.assert_close(refiner.vae.state_dict(), base.vae.state_dict())
    torch.testing.assert_close(refiner.image_encoder.state_dict(), base.image_encoder.state_dict())
    assert not torch.equal(refiner.cc_projection.weight, base.cc_projection.weight)


def test_the_files_of_a_model_include_shared_ones(cascade):
    files = weights_files(cascade / "refiner")
    assert cascade / "base/vae/config.json" in files
    assert cascade / "refiner" / UNET in files
    assert all(file.is_file() for file in files)


def test_half_precision_files_load_as_float32(base):
    edit(base / UNET, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    assert {p.dtype for p in load_zero123(base).parameters()} == {torch.float32}


def test_keys_of_diffusers_pose_projection_are_understood(base):
    file = base / "cc_projection/model.safetensors"
    tensors = load_file(file)
    save_file({f"projection.{key}": value for key, value in tensors.items()}, file)
    torch.testing.assert_close(load_zero123(base).cc_projection.weight, tensors["weight"])


def test_the_buffer_that_older_libraries_keep_in_clip_files_is_neither_needed_nor_refused(base, monkeypatch):
    class Older(diffusers_folder.CLIPVisionModelWithProjection):
        def __init__(self, config):
            super().__init__(config)
            embeddings = self.vision_model.embeddings
            embeddings.register_buffer("position_ids", embeddings.position_ids, persistent=True)

    key = "vision_model.embeddings.position_ids"
    newer = load_zero123(base)
    with monkeypatch.context() as patch:
        patch.setattr(diffusers_folder, "CLIPVisionModelWithProjection", Older)
        older = load_zero123(base)
    assert torch.equal(older.image_encoder.state_dict()[key], newer.image_encoder.vision_model.embeddings.position_ids)
    edit(base / "image_encoder/model.safetensors", lambda tensors: tensors.update({key: torch.arange(5)[None]}))
    load_zero123(base)


def test_a_missing_file_is_named(base):
    (base / UNET).unlink()
    refused(base, UNET, "missing")


def test_a_missing_config_is_named(base):
    (base / "image_encoder/config.json").unlink()
    refused(base, "image_encoder/config.json: missing")


def test_a_truncated_file_is_named(base):
    content = (base / UNET).read_bytes()
    (base / UNET).write_bytes(content[: len(content) // 2])
    half = len(content) // 2
    first = min((end, name) for end, name in ends_of_tensors(content) if end > half)[1]
    refused(base, UNET, "truncated", f"{first} is the first tensor that is not whole")
    (base / UNET).write_bytes(content[:100])
    refused(base, UNET, "truncated")


def ends_of_tensors(content):
    """(where it ends in the file, name) of each tensor."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    return [(start + entry["data_offsets"][1], name) for name, entry in header.items() if name != "__metadata__"]


def test_a_truncated_file_whose_header_s_length_looks_like_another_format_is_called_truncated(base):
    tensors = load_file(base / UNET)
    for padding in range(256):
        save_file(tensors, base / UNET, {"padding": " " * padding})
        content = (base / UNET).read_bytes()
        if content[0] == 0x80:
            break
    assert content[0] == 0x80
    (base / UNET).write_bytes(content[:-4])
    refused(base, UNET, "truncated")


def test_the_first_tensor_with_nan_is_named(base):
    edit(base / UNET, lambda tensors: tensors["conv_in.bias"].fill_(torch.nan))
    refused(base, UNET, "conv_in.bias", "not finite")


def test_a_missing_tensor_is_named(base):
    edit(base / UNET, lambda tensors: tensors.pop("conv_in.bias"))
    refused(base, UNET, "conv_in.bias is missing")


def test_a_tensor_of_other_shape_is_named_with_both_shapes(base):
    edit(base / UNET, lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}))
    refused(base, UNET, "conv_in.bias is [3], expected [8]")


def test_a_tensor_of_other_type_is_named(base):
    edit(base / UNET, lambda tensors: tensors.update({"conv_in.bias": torch.zeros(8, dtype=torch.int64)}))
    refused(base, UNET, "conv_in.bias is torch.int64, expected torch.float32")


def test_a_tensor_too_many_is_named(base):
    edit(base / UNET, lambda tensors: tensors.update({"lora.up": torch.zeros(1)}))
    refused(base, UNET, "lora.up is not part of the network by", "config.json")


def test_a_tensor_whose_name_cannot_be_printed_is_told_as_damage(base):
    edit(base / UNET, lambda tensors: tensors.update({"a\0b": torch.zeros(1)}))
    refused(base, UNET, "a tensor is called 'a\\x00b'; the file is damaged")


def test_broken_json_is_named(base):
    (base / "zero123.json").write_text("{")
    refused(base, "zero123.json: not readable as JSON (")
    (base / "zero123.json").write_text("[1]")
    refused(base, "zero123.json: expected a JSON object")
    (base / "zero123.json").write_bytes(b"\xff")
    refused(base, "zero123.json: not readable as text (")


def test_settings_of_unknown_name_or_type_are_named(base):
    edit_json(base / "zero123.json", image_size="64")
    refused(base, "zero123.json", "image_size is '64', expected a int")
    edit_json(base / "zero123.json", image_size=16, sice=3)
    refused(base, "zero123.json", "unknown key sice")


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("unet/config.json", {"block_out_channels": "abc"}),
        ("unet/config.json", {"attention_head_dim": 0}),
        ("unet/config.json", {"act_fn": "none such"}),
        ("image_encoder/config.json", {"hidden_size": "x"}),
        ("image_encoder/config.json", {"num_attention_heads": 3}),
        ("vae/config.json", {"patch_size": "x"}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": -3}),
        ("scheduler/scheduler_config.json", {"beta_schedule": "none such"}),
        ("zero123.json", {"image_size": 0}),
        ("zero123.json", {"pose_token": "zero124"}),
    ],
)
def test_a_configuration_that_builds_no_network_is_refused_by_its_file(base, file, change):
    edit_json(base / file, **change)
    refused(base, file)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("zero123.json", {"image_size": 32}, "not of 32 px"),
        ("unet/config.json", {"sample_size": None}, "a side of None"),
        ("unet/config.json", {"sample_size": 16}, "a side of 16"),
        ("scheduler/scheduler_config.json", {"prediction_type": "foo"}, 'prediction_type "foo"'),
        (
            "scheduler/scheduler_config.json",
            {"trained_betas": [0.1] * 3, "rescale_betas_zero_snr": False},
            "3 betas for 1000 timesteps",
        ),
    ],
)
def test_what_would_only_fail_when_sampling_is_refused_when_loading(base, file, change, message):
    edit_json(base / file, **change)
    refused(base, message)


SCHEDULER = "scheduler/scheduler_config.json"
OUT_OF_RANGE = [
    ("zero123.json", "image_size", 0, "a number within 8 and 4096"),
    ("zero123.json", "fovy_deg", -1.0, "a number within 0.1 and 170"),
    ("zero123.json", "camera_distance", NAN, "a number within 0.01 and 1000"),
    ("zero123.json", "object_ratio", 2.0, "a number within 0.1 and 1"),
    ("zero123.json", "cond_elevation_deg", 91.0, "a number within -90 and 90"),
    ("zero123.json", "prompt_steps", 10**12, "a number within 1 and 1000"),
    ("zero123.json", "prompt_scale", -INFINITY, "a number within 0 and 1000"),
    (SCHEDULER, "num_train_timesteps", 10**12, "a number within 2 and 100000"),
    (SCHEDULER, "beta_start", NAN, "a number within 0 and 1"),
    (SCHEDULER, "beta_end", 5.0, "a number within 0 and 1"),
    (SCHEDULER, "trained_betas", [0.1, -0.1], "a number within 0 and 1"),
    (SCHEDULER, "steps_offset", -1, "a number within 0 and 100000"),
    (SCHEDULER, "another", INFINITY, "a finite number"),
    ("unet/config.json", "cross_attention_dim", 10**15, "a number within 1 and 65536"),
    ("unet/config.json", "block_out_channels", [32, -32], "a number within 1 and 65536"),
    ("vae/config.json", "scaling_factor", 0, "a number within 1e-09 and 1000000000"),
    ("image_encoder/config.json", "num_hidden_layers", 10**9, "a number within 1 and 1024"),
]


@pytest.mark.parametrize(("file", "key", "value", "expected"), OUT_OF_RANGE)
def test_a_number_of_the_weights_settings_has_its_range(base, file, key, value, expected):
    edit_json(base / file, **{key: value})
    refused(base, f"{file}: {key} is ", f", expected {expected}")


def test_every_number_of_the_settings_declares_its_range():
    for field in dataclasses.fields(Settings):
        assert "range" in field.metadata or isinstance(field.default, (str, bool)), field.name


def test_an_unknown_autoencoder_is_named_and_not_imported(base):
    edit_json(base / "vae/config.json", _class_name="os.system")
    refused(base, "vae/config.json", 'unknown autoencoder "os.system"')


def test_a_folder_of_models_asks_which(cascade):
    refused(cascade, "name the model in it", "base")


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path / "zero123-xl.ckpt", "zero123-xl.ckpt: no such file", "scripts/download_weights.py")


def test_saving_leaves_only_json_and_safetensors(tmp_path):
    save_zero123(tiny_model(), tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".json", ".safetensors"}


def test_a_model_saved_in_half_precision_computes_in_float32(tmp_path):
    save_zero123(tiny_model().half(), tmp_path / "base")
    loaded = load_zero123(tmp_path / "base")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert loaded.image_embedding(torch.rand(1, 3, 16, 16)).dtype == torch.float32
