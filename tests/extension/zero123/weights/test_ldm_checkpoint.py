import json
from pathlib import Path

import ldm_reference as reference
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.views import Cameras
from cascade_zero123.zero123.architecture import build_model
from cascade_zero123.zero123.model import Context
from cascade_zero123.zero123.pose import pose_token
from cascade_zero123.zero123.weights.ldm_keys import UNET, VAE, unet_keys, vae_keys
from cascade_zero123.zero123.weights.loading import announce, load_zero123, weights_files
from cascade_zero123.zero123.weights.stored_tensor import MappedFile, StoredTensor, contiguous_strides
from diffusers import DDIMScheduler
from tiny_ldm import IMAGE_SIZE, SIZES, tiny_state, write_ckpt, write_config, write_safetensors

from benchmarks.synthetic_checkpoint import PUBLISHED, unet_shapes, vae_shapes


@pytest.fixture(scope="module")
def state():
    return tiny_state()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def file(tmp_path_factory, state):
    return write_ckpt(tmp_path_factory.mktemp("ckpt") / "zero123-xl.ckpt", state)


@pytest.fixture(scope="module")
def model(file, config):
    return load_zero123(file, config=config)


@pytest.fixture(scope="module")
def averaged(state):
    """The state with the moving average in the U-Net's place."""
    return {
        key: state["model_ema." + key.removeprefix("model.").replace(".", "")] if key.startswith("model.") else value
        for key, value in state.items()
    }


def relative_error(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


def images(count=2):
    return torch.rand(count, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))


def refused(path, *parts, config=None, **options):
    with pytest.raises(UserError) as caught:
        load_zero123(path, config=config, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message, message


# --- It computes what the original does ---


def test_image_embedding_equals_the_slow_reference(model, averaged):
    expected = reference.embed(averaged, SIZES, images())
    assert relative_error(model.image_embedding(images())[:, 0], expected) < 1e-5


def test_source_latents_are_the_unscaled_mode_and_target_latents_the_scaled(model, averaged):
    expected = reference.encode(averaged, SIZES, 2 * images() - 1)
    assert relative_error(model.source_latents(images()), expected) < 1e-5
    assert relative_error(model.target_latents(images()), 0.18215 * expected) < 1e-5


def test_decoded_images_equal_the_slow_reference(model, averaged):
    latents = torch.randn(2, SIZES.z_channels, SIZES.latent_size, SIZES.latent_size)
    expected = (reference.decode(averaged, SIZES, latents / 0.18215) / 2 + 0.5).clamp(0, 1)
    assert expected.std() > 0.05
    assert relative_error(model.decode(latents), expected) < 1e-5


def test_the_context_token_is_the_projection_of_embedding_and_pose(model, averaged):
    embedding = torch.randn(1, 1, SIZES.clip_text_width)
    source, target = (Cameras.one(*values) for values in ((10.0, 20.0, 1.5), (40.0, -25.0, 1.8)))
    polar, azimuth = -30 * torch.pi / 180, -45 * torch.pi / 180
    pose = torch.tensor([polar, torch.tensor(azimuth).sin(), torch.tensor(azimuth).cos(), 0.3])
    joined = torch.cat([embedding[0, 0], pose]).double()
    expected = averaged["cc_projection.weight"].double() @ joined + averaged["cc_projection.bias"].double()
    found = model.context_tokens(embedding, pose_token(target, source)[None])
    assert relative_error(found[0, 0], expected) < 1e-5


@pytest.mark.parametrize("tokens", [1, 4])
def test_predictions_equal_the_slow_reference(model, averaged, tokens):
    side = SIZES.latent_size
    noisy, source = torch.randn(2, 4, side, side), torch.randn(2, 4, side, side)
    context, timestep = torch.randn(2, tokens, SIZES.context_dim), torch.tensor([981, 37])
    expected = reference.unet(averaged, SIZES, torch.cat([noisy, source], 1), timestep, context)
    assert relative_error(model.predict(noisy, timestep, Context(context, source)), expected) < 1e-5


def test_the_noise_schedule_is_the_original_s(model):
    betas = torch.linspace(0.00085**0.5, 0.0120**0.5, 1000, dtype=torch.float64) ** 2
    scheduler = model.scheduler()
    torch.testing.assert_close(scheduler.alphas_cumprod.double(), (1 - betas).cumprod(0), rtol=1e-5, atol=0)
    assert scheduler.config.prediction_type == "epsilon" and not scheduler.config.clip_sample


# --- Which tensors it takes ---


def test_the_moving_average_is_the_model(model, state):
    average = state["model_ema.diffusion_modelinput_blocks00weight"]
    assert torch.equal(model.unet.conv_in.weight, average)
    assert not torch.equal(average, state["model.diffusion_model.input_blocks.0.0.weight"])


def test_without_a_moving_average_the_plain_weights_are_the_model(tmp_path, config, state):
    plain = {key: value for key, value in state.items() if not key.startswith("model_ema.")}
    loaded = load_zero123(write_ckpt(tmp_path / "plain.ckpt", plain), config=config)
    assert torch.equal(loaded.unet.conv_in.weight, state["model.diffusion_model.input_blocks.0.0.weight"])


def test_an_incomplete_moving_average_is_refused_by_its_first_missing_key(tmp_path, config, state):
    key = "model_ema.diffusion_modelmiddle_block0in_layers0weight"
    file = write_ckpt(tmp_path / "half.ckpt", {name: value for name, value in state.items() if name != key})
    refused(file, f"{key} is missing", config=config)


def test_safetensors_and_bare_state_dicts_load_as_the_checkpoint_does(tmp_path, config, state, model):
    torch.save(state, tmp_path / "bare.pt")
    for file in (write_safetensors(tmp_path / "zero123-xl.safetensors", state), tmp_path / "bare.pt"):
        loaded = load_zero123(file, config=config).state_dict()
        assert all(torch.equal(value, loaded[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("renamed", [lambda key: f"module.{key}", lambda key: key.removeprefix("model.")])
def test_names_of_parallel_training_and_of_a_bare_network_are_understood(tmp_path, config, state, model, renamed):
    plain = {key: value for key, value in state.items() if not key.startswith("model_ema.")}
    expected = load_zero123(write_ckpt(tmp_path / "zero123.ckpt", plain), config=config)
    loaded = load_zero123(write_ckpt(tmp_path / "other.ckpt", {renamed(k): v for k, v in plain.items()}), config=config)
    for key, value in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_leftovers_of_training_are_not_read(tmp_path, config, state, model):
    leftovers = {"first_stage_model.loss.logvar": torch.tensor(torch.nan), "logvar": torch.full((1000,), torch.nan)}
    loaded = load_zero123(write_ckpt(tmp_path / "loss.ckpt", state | leftovers), config=config)
    assert torch.equal(loaded.vae.quant_conv.weight, model.vae.quant_conv.weight)


def test_tensors_that_are_views_are_read_as_such(tmp_path, config, state, model):
    """Transposed, channels-last and as part of a larger storage: torch.save keeps all of that."""
    views = dict(state)
    key = "cc_projection.weight"
    views[key] = state[key].T.contiguous().T
    key = "model_ema.diffusion_modelinput_blocks00weight"
    views[key] = state[key].contiguous(memory_format=torch.channels_last)
    views["cc_projection.bias"] = torch.cat([torch.zeros(5), state["cc_projection.bias"], torch.zeros(3)])[5:-3]
    loaded = load_zero123(write_ckpt(tmp_path / "views.ckpt", views), config=config).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_dtype_is_that_of_every_parameter(file, config, dtype, model):
    loaded = load_zero123(file, config=config, dtype=dtype)
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
    assert torch.equal(loaded.unet.conv_in.weight, model.unet.conv_in.weight.to(dtype))


def test_weights_stored_in_half_precision_compute_in_float32_or_stay_as_stored(tmp_path, config, state):
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    file = write_ckpt(tmp_path / "half.ckpt", half)
    assert {parameter.dtype for parameter in load_zero123(file, config=config).parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in load_zero123(file, dtype=None, config=config).parameters()} == {torch.half}


def test_the_configuration_decides_sizes_heads_and_schedule(model):
    unet = model.unet.config
    assert (unet.in_channels, unet.out_channels, unet.sample_size, unet.cross_attention_dim) == (8, 4, 8, 16)
    assert unet.attention_head_dim == 4  # diffusers' name for the number of heads
    assert model.settings.image_size == IMAGE_SIZE
    assert model.image_encoder.config.hidden_act == "quick_gelu"
    assert model.image_encoder.config.num_attention_heads == 2


def test_heads_of_given_width_are_counted_at_each_level(tmp_path, config, file):
    text = Path(config).read_text().replace("num_heads: 4", "num_head_channels: 8")
    (tmp_path / "other.yaml").write_text(text)
    loaded = load_zero123(file, config=str(tmp_path / "other.yaml"))
    assert loaded.unet.config.attention_head_dim == [4, 8]


def test_v_prediction_and_another_schedule_are_taken_from_the_configuration(tmp_path, config, file):
    text = Path(config).read_text().replace("linear_end: 0.012", "linear_end: 0.02\n    parameterization: v")
    (tmp_path / "v.yaml").write_text(text)
    scheduler = load_zero123(file, config=str(tmp_path / "v.yaml")).scheduler()
    assert scheduler.config.prediction_type == "v_prediction" and scheduler.config.beta_end == 0.02


def test_the_files_of_a_checkpoint_are_itself_and_its_configuration(file, config):
    assert weights_files(file) == [file]
    assert weights_files(file, config) == [file, Path(config)]


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_every_name_of_the_published_layout_is_known(part, config):
    """Without weights: the published shapes are those of the modules built for them."""
    with torch.device("meta"):
        expected = getattr(build_model(), part).state_dict()
    shapes, prefix = (unet_shapes(PUBLISHED), UNET) if part == "unet" else (vae_shapes(PUBLISHED), VAE)
    stored = {
        name: StoredTensor(
            MappedFile(Path(config)), prefix + name, torch.float32, 0, 0, shape, contiguous_strides(shape)
        )
        for name, shape in shapes.items()
    }
    blocks = {"down_block_types": (0,) * 4, "up_block_types": (0,) * 4}  # counted, not read
    found = unet_keys(stored, {"layers_per_block": 2}) if part == "unet" else vae_keys(stored, blocks)
    assert {key: tuple(value.shape) for key, value in expected.items()} == {k: v.shape for k, v in found.items()}


# --- The pose token ---


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("stable_zero123.ckpt", "stable-zero123"),
        ("Stable-Zero123_c.ckpt", "stable-zero123"),
        ("105000.ckpt", "zero123"),
        ("unstable_zero123.ckpt", "zero123"),
        ("stable-zero123/model.ckpt", "stable-zero123"),
        ("stable-zero123/zero123-xl.ckpt", "zero123"),
    ],
)
def test_the_file_s_name_says_which_pose_token_it_was_trained_with(tmp_path, config, state, name, token):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    file = write_ckpt(tmp_path / name, state)
    assert load_zero123(file, config=config).settings.pose_token == token
    link = tmp_path / "zero123/link.ckpt"
    link.parent.mkdir()
    link.symlink_to(file)
    if "zero123" in file.name:
        assert load_zero123(link, config=config).settings.pose_token == token
    assert load_zero123(file, config=config, pose_token="zero123").settings.pose_token == "zero123"


def test_the_console_says_which_pose_token_is_used(file, config, caplog):
    with caplog.at_level("INFO"):
        announce(file, load_zero123(file, config=config, pose_token="stable-zero123"))
    assert "pose token stable-zero123" in caplog.text


def test_an_unknown_pose_token_is_refused_with_the_known_ones(file, config):
    refused(file, 'pose_token "zero124"', "zero123, stable-zero123", config=config, pose_token="zero124")


# --- What it refuses ---


def test_the_published_sizes_are_expected_unless_a_configuration_is_given(file):
    refused(file, "model_ema.diffusion_model", "is [", "expected [", "LDM YAML")


def test_the_first_tensor_with_nan_or_infinity_is_named(tmp_path, config, state):
    for key in ("model_ema.diffusion_modelout2bias", "first_stage_model.quant_conv.bias"):
        for value in (torch.nan, torch.inf):
            file = write_ckpt(tmp_path / "nan.ckpt", state | {key: torch.full_like(state[key], value)})
            refused(file, key, "not finite", config=config)


def test_values_too_large_for_half_precision_are_not_called_damaged(tmp_path, config, state):
    key = "first_stage_model.quant_conv.bias"
    file = write_ckpt(tmp_path / "large.ckpt", state | {key: torch.full_like(state[key], 1e5)})
    refused(file, key, "too large for torch.float16", config=config, dtype=torch.float16)


def test_a_missing_part_is_named(tmp_path, config, state):
    for prefix in ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.model.visual.", "cc_projection."):
        kept = {key: value for key, value in state.items() if not key.startswith(prefix)}
        refused(write_ckpt(tmp_path / "part.ckpt", kept), prefix, "not a Zero-1-to-3 checkpoint", config=config)


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.out.2.weight",
        "model.diffusion_model.input_blocks.1.0.in_layers.0.weight",
        "model.diffusion_model.output_blocks.1.2.conv.bias",
        "first_stage_model.encoder.mid.attn_1.q.weight",
        "first_stage_model.decoder.up.1.upsample.conv.bias",
        "cond_stage_model.model.visual.conv1.weight",
        "cond_stage_model.model.visual.proj",
        "cond_stage_model.model.visual.transformer.resblocks.1.mlp.c_fc.weight",
        "cc_projection.bias",
    ],
)
def test_any_missing_tensor_is_named_as_the_file_would_spell_it(tmp_path, config, state, key):
    kept = {name: value for name, value in state.items() if name != key and not name.startswith("model_ema.")}
    refused(write_ckpt(tmp_path / "hole.ckpt", kept), f"{key} is missing", config=config)


def test_where_a_whole_layer_is_missing_its_section_is_named(tmp_path, config, state):
    kept = {name: value for name, value in state.items() if ".out." not in name and not name.startswith("model_ema.")}
    refused(write_ckpt(tmp_path / "hole.ckpt", kept), "model.diffusion_model.*: ", "is missing", config=config)


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.lora.up",
        "first_stage_model.encoder.extra.weight",
        "cond_stage_model.model.visual.transformer.resblocks.0.mlp.gate.weight",
        "cc_projection.extra",
    ],
)
def test_a_tensor_too_many_is_named(tmp_path, config, state, key):
    plain = {name: value for name, value in state.items() if not name.startswith("model_ema.")}
    refused(write_ckpt(tmp_path / "more.ckpt", plain | {key: torch.zeros(2, 2)}), key, config=config)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("cond_stage_model.model.visual.conv1.weight", (2, 2)),
        ("cond_stage_model.model.visual.proj", (3,)),
        ("cond_stage_model.model.visual.transformer.resblocks.0.attn.in_proj_bias", ()),
        ("cond_stage_model.model.visual.transformer.resblocks.", (1,)),
        ("first_stage_model.encoder.mid.attn_1.q.weight", (64, 64, 3, 3)),
        ("first_stage_model.encoder.mid.attn_1.q.weight", ()),
        ("model.diffusion_model.out.2.weight", ()),
    ],
)
def test_tensors_of_a_shape_that_the_layout_cannot_have_are_refused_in_one_line(tmp_path, config, state, key, shape):
    plain = {name: value for name, value in state.items() if not name.startswith("model_ema.")}
    refused(write_ckpt(tmp_path / "shape.ckpt", plain | {key: torch.zeros(shape)}), config=config)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("cond_stage_model.model.visual.conv1.weight", (2, 2), "visual.* is not OpenAI's ViT ("),
        (
            "cond_stage_model.model.visual.transformer.resblocks.0.attn.in_proj_bias",
            (),
            "visual.* is not this layout, or misshapen: ",
        ),
        ("model_ema.diffusion_modelout9bias", (4,), "is the average of nothing in model.diffusion_model.*"),
    ],
)
def test_what_does_not_fit_the_layout_is_said(tmp_path, config, state, key, shape, message):
    refused(write_ckpt(tmp_path / "odd.ckpt", state | {key: torch.zeros(shape)}), message, config=config)


def test_something_else_in_a_tensor_s_place_is_named(tmp_path, config, state):
    for key in ("cc_projection.bias", "first_stage_model.quant_conv.bias"):
        refused(write_ckpt(tmp_path / "str.ckpt", state | {key: [0.0]}), key, "is a list, not a tensor", config=config)
    average = "model_ema.diffusion_modelout2bias"
    refused(write_ckpt(tmp_path / "ema.ckpt", state | {average: "0"}), f"{average} is a str", config=config)
    complex_numbers = state | {"cc_projection.bias": torch.zeros(16, dtype=torch.complex64)}
    refused(write_ckpt(tmp_path / "complex.ckpt", complex_numbers), "not a tensor of real numbers", config=config)
    whole = state | {"cc_projection.bias": torch.zeros(16, dtype=torch.int64)}
    refused(write_ckpt(tmp_path / "int.ckpt", whole), "cc_projection.bias is torch.int64", config=config)


def test_one_network_of_a_folder_is_not_taken_for_a_checkpoint(tmp_path):
    file = write_safetensors(tmp_path / "diffusion_pytorch_model.safetensors", {"conv_in.weight": torch.zeros(1)})
    refused(file, "name the folder")


def test_the_scheduler_that_is_saved_reads_back_the_same(tmp_path, model):
    from cascade_zero123.zero123.weights.loading import save_zero123

    save_zero123(model, tmp_path / "folder")
    saved = json.loads((tmp_path / "folder/scheduler/scheduler_config.json").read_text())
    assert torch.equal(DDIMScheduler.from_config(saved).alphas_cumprod, model.scheduler().alphas_cumprod)
