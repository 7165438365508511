import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123 import precision
from cascade_zero123.zero123.precision import dtype_of
from tiny_zero123 import LATENT_CHANNELS, SIZE, tiny_model

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bf16_on_a_processor_that_has_it_and_float32_on_another(monkeypatch, native, dtype):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    assert dtype_of("auto", CPU) == dtype


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    assert dtype_of("auto", CPU) == torch.float32


@pytest.mark.parametrize(
    ("capability", "dtype"), [((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)]
)
def test_auto_is_bf16_on_cuda_from_compute_capability_8_on(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert dtype_of("auto", CUDA) == dtype


def test_a_named_precision_is_taken_on_any_device():
    assert dtype_of("bf16", CPU) == torch.bfloat16
    assert dtype_of("fp16", CUDA) == torch.float16
    assert dtype_of("fp32", CUDA) == torch.float32


def test_an_unknown_precision_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match='precision "half"; known are auto, fp32, fp16, bf16'):
        dtype_of("half", CPU)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
def test_half_precision_weights_take_and_give_float32_close_to_the_exact_values(dtype, tolerance):
    exact, half = tiny_model(), tiny_model().to(dtype)
    image = torch.rand(2, 3, SIZE, SIZE)
    noisy, timestep = torch.randn(2, *exact.latent_shape), torch.tensor([100, 900])

    def outputs(model):
        embedding, latents = model.image_embedding(image), model.target_latents(image)
        context = model.context(embedding, torch.rand(2, 1, 4, generator=torch.Generator().manual_seed(0)), latents)
        return embedding, latents, context.tokens, model.predict(noisy, timestep, context), model.decode(latents)

    names = ("embedding", "latents", "tokens", "output", "image")
    for name, found, expected in zip(names, outputs(half), outputs(exact), strict=True):
        assert found.dtype == torch.float32, name
        assert (found - expected).norm() < tolerance * expected.norm(), name
    assert outputs(exact)[1].shape[1] == LATENT_CHANNELS
