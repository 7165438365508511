import gc
import shutil
import weakref

import pytest
import torch
from cascade_zero123.cascade.models import HOST, CascadeModels, Choice, Residence
from cascade_zero123.common.errors import UserError
from cascade_zero123.zero123.weights.loading import save_zero123
from tiny_zero123 import convolutional_model, save_tiny_cascade, tiny_model


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    return save_tiny_cascade(tmp_path_factory.mktemp("weights"))


def pair(base, refiner, **residence):
    return CascadeModels([Choice(str(base)), Choice(str(refiner))], Residence(HOST, **residence))


def test_the_same_weights_by_any_path_are_one_model(cascade, tmp_path):
    (tmp_path / "link").symlink_to(cascade / "base")
    models = pair(cascade / "base", tmp_path / "link")
    assert models.load(0) is models.refiner


def test_other_settings_of_the_same_weights_share_every_tensor_and_keep_their_settings(cascade):
    weights = str(cascade / "base")
    models = CascadeModels([Choice(weights, None, "stable-zero123"), Choice(weights)], Residence(HOST))
    base = models.load(0)
    assert base is not models.refiner
    assert base.settings.pose_token != models.refiner.settings.pose_token
    for part in ("unet", "vae", "image_encoder", "cc_projection"):
        assert getattr(base, part) is getattr(models.refiner, part)


def test_a_copy_of_the_weights_shares_its_tensors(cascade, tmp_path):
    shutil.copytree(cascade / "base", tmp_path / "copy")
    models = pair(cascade / "base", tmp_path / "copy")
    assert models.load(0).unet is models.refiner.unet


def test_base_and_refiner_share_the_autoencoder_and_image_encoder_that_are_alike(cascade):
    models = pair(cascade / "base", cascade / "refiner")
    base = models.load(0)
    assert base.vae is models.refiner.vae and base.image_encoder is models.refiner.image_encoder
    assert base.unet is not models.refiner.unet and base.cc_projection is not models.refiner.cc_projection


def test_parts_that_compute_otherwise_with_the_same_tensors_are_not_shared(cascade, tmp_path):
    model = tiny_model(seed=0)
    model.vae.register_to_config(scaling_factor=0.5)
    save_zero123(model, tmp_path / "other")
    models = pair(tmp_path / "other", cascade / "base")
    base = models.load(0)
    assert base.vae is not models.refiner.vae
    assert base.vae.config.scaling_factor == 0.5
    assert base.unet is models.refiner.unet


def test_base_is_freed_once_its_caller_lets_go(cascade):
    models = pair(cascade / "base", cascade / "refiner")
    unet = weakref.ref(models.load(0).unet)
    gc.collect()
    assert unet() is None


def test_models_of_two_picture_sizes_are_refused(cascade, tmp_path):
    model = tiny_model()
    model.settings.image_size = 32
    model.unet.register_to_config(sample_size=8)
    save_zero123(model, tmp_path / "large")
    with pytest.raises(UserError, match=r"large makes 32 px views and the Refiner 16 px; a cascade needs one size"):
        pair(tmp_path / "large", cascade / "refiner").load(0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_both_models_are_kept_in_the_wanted_precision(cascade, dtype):
    models = pair(cascade / "base", cascade / "refiner", dtype=dtype)
    for model in (models.refiner, models.load(0)):
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_another_precision_or_pose_token_has_other_prompt_views(cascade):
    weights = str(cascade / "base")
    pairs = [
        CascadeModels([Choice(weights, None, token), Choice(weights, None, token)], Residence(HOST, dtype))
        for token in (None, "stable-zero123")
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert len({models.fingerprint(0) for models in pairs}) == 4


def convolutional(folder):
    save_zero123(convolutional_model(), folder)
    return folder


class Log:
    """Where modules were sent; on one device, the order is what can be seen."""

    def __init__(self, monkeypatch):
        self.moves = []
        moved = torch.nn.Module.to
        log = self

        def to(module, *args, **kwargs):
            if args and isinstance(args[0], torch.device):
                log.moves.append((module, args[0]))
            return moved(module, *args, **kwargs)

        monkeypatch.setattr(torch.nn.Module, "to", to)

    def of(self, module):
        return [device for other, device in self.moves if other is module]


@pytest.fixture
def elsewhere():
    """A device that moves nothing and is not HOST by name."""
    return torch.device("cpu", 0)


def test_image_encoder_and_decoder_wait_on_the_host_and_visit(tmp_path, monkeypatch, elsewhere):
    weights = Choice(str(convolutional(tmp_path / "model")))
    log = Log(monkeypatch)
    models = CascadeModels([weights, weights], Residence(elsewhere, spare_device=True))
    model = models.refiner
    waiting = (model.image_encoder, model.vae.decoder, model.vae.post_quant_conv)
    assert all(log.of(module)[-1] == HOST for module in waiting)
    log.moves.clear()
    with models.visit("decoder"):
        assert log.of(model.vae.decoder) == [elsewhere] and not log.of(model.image_encoder)
    assert log.of(model.vae.decoder) == [elsewhere, HOST]
    log.moves.clear()
    with models.sampling():
        assert all(log.of(module) == [elsewhere] for module in waiting)
    assert all(log.of(module) == [elsewhere, HOST] for module in waiting)
    assert HOST not in log.of(model.unet) and not log.of(model.vae.encoder)


def test_the_refiner_s_u_net_makes_room_while_another_base_samples(cascade, monkeypatch, elsewhere):
    log = Log(monkeypatch)
    choices = [Choice(str(cascade / "base")), Choice(str(cascade / "refiner"))]
    models = CascadeModels(choices, Residence(elsewhere, spare_device=True))
    log.moves.clear()
    with models.sampling():
        base = models.load(0)
        assert log.of(models.refiner.unet)[-1] == HOST
        assert log.of(base)[-1] == elsewhere
    assert log.of(models.refiner.unet)[-1] == elsewhere
    assert log.of(base.unet)[-1] == HOST  # for a caller, or a batch, that keeps it


def test_nothing_moves_where_the_device_is_not_spared(cascade, monkeypatch):
    models = pair(cascade / "base", cascade / "base")
    log = Log(monkeypatch)
    with models.sampling(), models.visit("decoder"):
        pass
    assert {device for _, device in log.moves} <= {HOST}


def test_channels_last_changes_the_order_in_memory_and_not_the_values(tmp_path):
    folder = convolutional(tmp_path / "model")
    plain, last = pair(folder, folder).refiner, pair(folder, folder, channels_last=True).refiner
    assert last.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert last.vae.encoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(last.target_latents(image), plain.target_latents(image))


def test_what_a_step_runs_is_compiled_if_asked_for(tmp_path, monkeypatch):
    """Compiling itself is torch's, and takes a minute."""
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    folder = convolutional(tmp_path / "model")
    model = pair(folder, folder, compile=True).refiner
    assert compiled == [model.unet, model.vae.encoder]
    pair(folder, folder)
    assert len(compiled) == 2


@pytest.mark.gpu
def test_on_a_gpu_only_what_a_step_runs_stays(tmp_path):
    folder = convolutional(tmp_path / "model")
    residence = Residence(torch.device("cuda"), spare_device=True)
    models = CascadeModels([Choice(str(folder)), Choice(str(folder))], residence)
    model = models.refiner

    def devices(*modules):
        return {parameter.device.type for module in modules for parameter in module.parameters()}

    assert devices(model.image_encoder, model.vae.decoder) == {"cpu"}
    assert devices(model.unet, model.vae.encoder, model.cc_projection) == {"cuda"}
    with models.visit("decoder"):
        assert model.decode(torch.zeros(1, *model.latent_shape, device="cuda")).isfinite().all()
    assert devices(model.vae.decoder) == {"cpu"}
