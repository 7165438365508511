import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.weights.loading import announce, load_zero123, save_zero123
from cascade_zero123.zero123.weights.tensor_files import open_tensors
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from tiny_ldm import tiny_state, write_ckpt, write_config, write_safetensors
from transformers import CLIPVisionModelWithProjection

from studies.weights import convert as convert_checkpoint

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def state():
    return tiny_state()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def file(tmp_path_factory, state):
    moments = [{"state": {0: {"exp_avg": torch.ones(3)}}}]
    return write_ckpt(tmp_path_factory.mktemp("ckpt") / "zero123-xl.ckpt", state, optimizer_states=moments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, file, config):
    folder = tmp_path_factory.mktemp("out") / "zero123-xl"
    assert run(file, folder, "--config", config) == 0
    return folder


def run(*arguments):
    return convert_checkpoint.main([str(argument) for argument in arguments])


def tensors(path):
    return {key: value.read() for key, value in open_tensors(path).items()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value), key


def test_a_checkpoint_becomes_a_folder_with_the_very_same_model(folder, file, config):
    same(load_zero123(folder).state_dict(), load_zero123(file, config=config).state_dict())
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"unet", "vae", "image_encoder", "scheduler", "cc_projection", "zero123.json"}
    assert {entry.suffix for entry in folder.rglob("*") if entry.is_file()} == {".json", ".safetensors"}
    assert list(folder.parent.iterdir()) == [folder]


def test_plain_from_pretrained_loads_each_part(folder, file, config):
    model = load_zero123(file, config=config)
    same(UNet2DConditionModel.from_pretrained(folder / "unet").state_dict(), model.unet.state_dict())
    same(AutoencoderKL.from_pretrained(folder / "vae").state_dict(), model.vae.state_dict())
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder").eval()
    same(encoder.state_dict(), model.image_encoder.state_dict())
    pixels = torch.randn(1, 3, 24, 24)
    assert torch.equal(encoder(pixels).image_embeds, model.image_encoder(pixels).image_embeds)
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    assert torch.equal(scheduler.alphas_cumprod, model.scheduler().alphas_cumprod)


def test_there_and_back_is_bit_exact_with_the_average_in_both_places(folder, file, state, tmp_path):
    back = tmp_path / "back.ckpt"
    assert run(folder, back, "--to", "ldm", "--template", file) == 0
    expected = dict(state)
    for key in state:
        if key.startswith("model.diffusion_model."):
            expected[key] = state["model_ema." + key.removeprefix("model.").replace(".", "")]
    same(tensors(back), expected)
    same(torch.load(back, weights_only=True)["state_dict"], expected)


def test_there_and_back_without_an_average_gives_the_same_file_of_tensors(state, config, tmp_path):
    plain = {key: value for key, value in state.items() if not key.startswith("model_ema.")}
    original = write_safetensors(tmp_path / "original.safetensors", plain)
    assert run(original, tmp_path / "folder", "--config", config) == 0
    assert run(tmp_path / "folder", tmp_path / "back.safetensors", "--to", "ldm", "--template", original) == 0
    same(load_file(tmp_path / "back.safetensors"), plain)


def test_a_refiner_trained_here_goes_into_a_checkpoint_and_comes_back(folder, file, config, tmp_path):
    refiner = load_zero123(folder)
    with torch.no_grad():
        for parameter in refiner.unet.parameters():
            parameter.add_(torch.randn_like(parameter))
    save_zero123(load_zero123(folder), tmp_path / "trained/base")
    save_zero123(refiner, tmp_path / "trained/refiner", shared_with=tmp_path / "trained/base")
    out = tmp_path / "refiner.ckpt"
    assert run(tmp_path / "trained/refiner", out, "--to", "ldm", "--template", file) == 0
    same(load_zero123(out, config=config).state_dict(), refiner.state_dict())


def test_the_average_written_takes_no_room_of_its_own(folder, file, tmp_path):
    run(folder, tmp_path / "back.ckpt", "--to", "ldm", "--template", file)
    unet = (folder / "unet/diffusion_pytorch_model.safetensors").stat().st_size
    assert (tmp_path / "back.ckpt").stat().st_size < file.stat().st_size - 0.9 * unet


def test_a_dtype_is_rounded_to_once(folder, file, config, tmp_path):
    assert run(file, tmp_path / "half", "--config", config, "--dtype", "float16") == 0
    found, whole = load_zero123(tmp_path / "half", dtype=None), load_zero123(folder)
    same(found.state_dict(), whole.half().state_dict())


def test_stored_precision_is_kept(state, config, tmp_path):
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    file = write_ckpt(tmp_path / "half.ckpt", half)
    assert run(file, tmp_path / "folder", "--config", config) == 0
    stored = load_file(tmp_path / "folder/unet/diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert run(tmp_path / "folder", tmp_path / "back.ckpt", "--to", "ldm", "--template", file) == 0
    assert torch.equal(tensors(tmp_path / "back.ckpt")["cc_projection.weight"], half["cc_projection.weight"])


def test_the_pose_token_is_written_down(file, config, tmp_path, capsys):
    assert run(file, tmp_path / "folder", "--config", config, "--pose-token", "stable-zero123") == 0
    assert json.loads((tmp_path / "folder/zero123.json").read_text())["pose_token"] == "stable-zero123"
    assert "pose token stable-zero123" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{file}", "{folder}"], "exists already"),
        (
            ["{folder}", "{new}.ckpt", "--to", "ldm"],
            "--to ldm needs --template, an original checkpoint whose layout is written",
        ),
        (
            ["{folder}", "{new}.ckpt", "--to", "ldm", "--template", "{new}"],
            "no such file; --template names an original checkpoint",
        ),
        (["{folder}", "{new}", "--to", "ldm", "--template", "{file}"], "writes a .ckpt or a .safetensors"),
        (["{file}", "{new}", "--template", "{file}"], "--template is for --to ldm"),
        (["{new}.ckpt", "{new}"], "no such file"),
        (["{file}", "{new}"], "LDM YAML"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing(arguments, message, file, folder, tmp_path, capsys):
    places = {"file": file, "folder": folder, "new": tmp_path / "new"}
    assert run(*(argument.format(**places) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_template_of_other_sizes_is_refused_by_its_first_key_and_nothing_is_left(folder, state, tmp_path, capsys):
    key = "model.diffusion_model.input_blocks.0.0.weight"
    template = write_ckpt(tmp_path / "other.ckpt", state | {key: torch.zeros(64, 8, 3, 3)})
    assert run(folder, tmp_path / "back.ckpt", "--to", "ldm", "--template", template) == 2
    assert f"{key} is [64, 8, 3, 3], the model's is [32, 8, 3, 3]" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.ckpt"]


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("model.diffusion_model.out.2.bias", "model_ema.diffusion_modelout2bias"),
        ("model_ema.diffusion_modelout2bias", "model_ema.diffusion_modelout2bias"),
        (
            "first_stage_model.decoder.mid.block_1.norm1.weight",
            "no place for vae: decoder.mid_block.resnets.0.norm1.weight; not its template, or incomplete",
        ),
        ("cond_stage_model.model.visual.ln_post.bias", "image_encoder: vision_model.post_layernorm.bias"),
        ("cond_stage_model.model.visual.transformer.resblocks.1.", "image_encoder: vision_model.encoder.layers.1."),
        ("cc_projection.bias", "cc_projection: bias"),
    ],
)
def test_a_template_without_room_for_all_of_the_model_is_refused(folder, state, tmp_path, capsys, key, named):
    kept = {name: value for name, value in state.items() if not name.startswith(key)}
    template = write_ckpt(tmp_path / "template.ckpt", kept)
    assert run(folder, tmp_path / "back.ckpt", "--to", "ldm", "--template", template) == 2
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["template.ckpt"]


def test_a_template_with_something_else_in_a_tensor_s_place_is_refused(folder, state, tmp_path, capsys):
    template = write_ckpt(tmp_path / "template.ckpt", state | {"cc_projection.bias": [1.0, 2.0]})
    assert run(folder, tmp_path / "back.ckpt", "--to", "ldm", "--template", template) == 2
    assert "cc_projection.bias is a list, not a tensor" in capsys.readouterr().err


def test_a_pose_token_that_the_new_file_s_name_does_not_say_is_told(file, config, tmp_path, capsys):
    stable = tmp_path / "folder"
    assert run(file, stable, "--config", config, "--pose-token", "stable-zero123") == 0
    for name, told in (("refiner.ckpt", True), ("stable_zero123_refiner.ckpt", False)):
        capsys.readouterr()
        assert run(stable, tmp_path / name, "--to", "ldm", "--template", file) == 0
        assert ("its pose token is stable-zero123" in capsys.readouterr().out) == told


@pytest.mark.parametrize("name", ["folder", "back.ckpt", "back.safetensors"])
def test_a_disk_without_room_is_told_in_one_line_by_the_name_that_was_given(file, config, folder, tmp_path, name):
    """Room is taken away by the system's limit on the size of files."""
    given = (
        [file, tmp_path / name, "--config", config] if name == "folder" else [folder, tmp_path / name, *to_ldm(file)]
    )
    command = [sys.executable, str(ROOT / "scripts/convert_checkpoint.py"), *map(str, given)]
    limit = 100_000
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / name}: ") and done.stderr.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def to_ldm(template):
    return ["--to", "ldm", "--template", template]


def test_an_interrupted_conversion_leaves_nothing_and_says_so(file, config, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cascade_zero123.zero123.weights.diffusers_folder.save_file", interrupted)
    assert run(file, tmp_path / "folder", "--config", config) == 130
    assert capsys.readouterr().err == f"stopped; {tmp_path / 'folder'} was not written\n"
    assert list(tmp_path.iterdir()) == []


def test_everybody_may_read_what_was_written(folder, file, tmp_path):
    for name in ("back.ckpt", "back.safetensors"):
        assert run(folder, tmp_path / name, *to_ldm(file)) == 0
    (tmp_path / "plain").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_what_of_the_template_cannot_be_kept_is_named(folder, state, tmp_path, capsys):
    template = write_ckpt(tmp_path / "template.ckpt", state | {"betas": torch.zeros(3, dtype=torch.complex64)})
    assert run(folder, tmp_path / "back.ckpt", *to_ldm(template)) == 0
    assert "without what is no tensor of real numbers in the template: betas" in capsys.readouterr().out


def test_conversion_is_offered_for_large_files_only(file, config, caplog, monkeypatch):
    model = load_zero123(file, config=config)
    with caplog.at_level("INFO"):
        announce(file, model)
        assert "convert_checkpoint" not in caplog.text
        monkeypatch.setattr("cascade_zero123.zero123.weights.loading.WORTH_CONVERTING", 1000)
        announce(file, model)
        assert caplog.text.rstrip().endswith(f"python scripts/convert_checkpoint.py {file} {file.with_suffix('')}")
        announce(file, load_zero123(file, config=config, dtype=torch.bfloat16))
    assert caplog.text.rstrip().endswith("--dtype bfloat16"), "only then it loads faster"


def test_the_command_that_is_offered_makes_the_model_that_was_loaded(tmp_path, state, caplog, monkeypatch):
    monkeypatch.setattr("cascade_zero123.zero123.weights.loading.WORTH_CONVERTING", 1000)
    (tmp_path / "my weights").mkdir()
    config = write_config(tmp_path / "my weights")
    file = write_ckpt(tmp_path / "my weights/last", state)
    with caplog.at_level("INFO"):
        announce(file, load_zero123(file, config=config, pose_token="stable-zero123"), config)
    command = shlex.split(caplog.text.rstrip().rsplit(": ", 1)[1])
    assert run(*command[2:]) == 0
    converted = load_zero123(tmp_path / "my weights/last-folder")
    assert converted.settings.pose_token == "stable-zero123"
