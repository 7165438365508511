"""One SDS guidance call: encode the rendering, U-Net with and without conditions, gradient back to the rendering.

    python benchmarks/guidance.py [--size full|small] [--batches 1 4] [--repeats 3] [--pairs 5] [--precision auto]
                                  [--encoder-gradients recomputed linear small] [--clock wall|cpu] [--compile]

Our settings against a plain float32 implementation of the same formula (eager attention, default memory format, two
passes through the U-Net), in one run, with the cosine of the two gradients on the rendering. `full` is the published
architecture with random weights (4 GB of memory), `small` one that takes seconds. All settings share their random
draws. `--clock cpu` counts this process' CPU seconds: for machines whose cores others use too.

With random weights the cosines of the approximations `linear` and `small` (zero123/encoding.py) say little about the
published autoencoder's (benchmarks/encoder_gradient.py has those of a trained one); those of the precisions and of
everything exact are what they are. Last, eight prompt views against none, in pairs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from threestudio.extensions import load_extensions  # noqa: E402

load_extensions(ROOT / "custom")

from cascade_zero123.cascade.context import EncodedViews  # noqa: E402
from cascade_zero123.guidance import CascadeZero123Guidance  # noqa: E402
from cascade_zero123.views import Cameras  # noqa: E402
from cascade_zero123.zero123.architecture import PUBLISHED, Architecture, build_model  # noqa: E402
from cascade_zero123.zero123.model import Context, Zero123  # noqa: E402
from cascade_zero123.zero123.precision import dtype_of  # noqa: E402

SCALE, STEP = 3.0, 7
# A call does not run it: the views are embedded once. Only its output width matters.
IMAGE_ENCODER = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
SMALL = Architecture(
    unet=PUBLISHED.unet | {"sample_size": 8, "block_out_channels": (32, 32, 64, 64)},
    vae=PUBLISHED.vae | {"sample_size": 64, "block_out_channels": (32, 32, 32, 32), "layers_per_block": 1},
    scheduler=PUBLISHED.scheduler,
    settings={"image_size": 64},
)


@dataclass(frozen=True)
class Setting:
    name: str
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    compile: bool = False
    encoder_gradient: str = "exact"
    prompt_views: int = 3


@dataclass
class Measured:
    """Median seconds of the whole call and its parts, the gradient, and megabytes that the call keeps for it."""

    seconds: dict[str, float]
    gradient: Tensor
    saved_mb: float
    peak_mb: float | None


def random_model(architecture: Architecture, device: torch.device) -> Zero123:
    """Values of torch's own initial spread; the U-Net's output is scaled to that of noise, so that its errors show."""
    encoder = IMAGE_ENCODER | {"projection_dim": architecture.unet["cross_attention_dim"], "image_size": 224}
    generator = torch.Generator(device).manual_seed(0)
    with torch.device("meta"):
        model = build_model(replace(architecture, image_encoder=encoder | {"patch_size": 112}))
    model.to_empty(device=device).eval().requires_grad_(False)
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            if value.ndim > 1:
                value.uniform_(-1, 1, generator=generator).div_(value[0].numel() ** 0.5)
            else:
                value.fill_(1.0 if name == "weight" else 0.0)
    inputs = torch.randn(1, *model.latent_shape, device=device)
    tokens = torch.randn(1, 1, architecture.unet["cross_attention_dim"], device=device)
    with torch.no_grad():
        output = model.predict(inputs, torch.tensor([500], device=device), Context(tokens, inputs))
    model.unet.conv_out.weight.div_(output.std())
    return model


def inputs(views: int, size: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
    """Shaded discs on white, a little textured, and their cameras."""
    axis = torch.linspace(-1, 1, size)
    y, x = axis[:, None], axis[None, :]
    generator = torch.Generator().manual_seed(0)
    offset = 0.3 * torch.randn(views, 2, 1, 1, generator=generator)
    distance = ((x - offset[:, 0]).square() + (y - offset[:, 1]).square()).sqrt()[..., None]
    texture = 0.1 * torch.randn(views, size, size, 3, generator=generator)
    disc = torch.tensor([0.9, 0.5, 0.2]) * (1 - 0.5 * distance) + texture
    rgb = torch.where(distance < 0.5, disc, 1.0).clamp(0, 1).to(device)
    cameras = {"elevation": torch.linspace(0, 40, views), "azimuth": torch.linspace(-120, 120, views)}
    cameras["camera_distances"] = torch.full((views,), 1.5)
    return rgb, {name: value.to(device) for name, value in cameras.items()}


class Guidance(CascadeZero123Guidance):
    """The guidance with a model that is there already, and prompt views that nobody sampled."""

    def __init__(self, model: Zero123, setting: Setting) -> None:
        self.models: Any = SimpleNamespace(refiner=model, visit=lambda *_: nullcontext())
        config = {"guidance_scale": SCALE, "encoder_gradient": setting.encoder_gradient, "cond_camera_distance": 1.5}
        super().__init__({"base": {"weights": "random"}, **config})
        self.update_step(0, STEP)
        side, views = model.settings.image_size, 1 + setting.prompt_views
        source, _ = inputs(2, side, self.device)
        images = source.permute(0, 3, 1, 2)
        self.encoding.fit(images[1:])
        draws = torch.randn(1, 9, 1, self.refiner.image_encoder.config.projection_dim, generator=torch.Generator())
        cameras = Cameras(torch.zeros(views), torch.linspace(0, 90, views), torch.full((views,), 1.5))
        with torch.no_grad():
            latents = model.source_latents(images[:1])
        self.encoded = EncodedViews(draws[:, :views].to(self.device), cameras.to(self.device)[None], latents)

    def _cascade(self) -> Any:
        return None


def plain_loss(guidance: Guidance, rgb: Tensor, cameras: dict[str, Tensor]) -> Tensor:
    """The formula without any of our means: DreamFusion's on latents, classifier-free guidance in two passes."""
    model = guidance.refiner
    size = model.settings.image_size
    images = F.interpolate(rgb.permute(0, 3, 1, 2), (size, size), mode="bilinear", align_corners=False)
    latents = model.vae.encode(2 * images - 1).latent_dist.mode() * model.vae.config.scaling_factor
    with torch.no_grad():
        timestep, noise = guidance.draw(latents)
        noisy = guidance.scheduler.add_noise(latents, noise, timestep)
        context = guidance.context(*cameras.values())
        cond = model.unet(torch.cat([noisy, context.concat], 1), timestep, context.tokens).sample
        nothing = torch.zeros_like(context.concat), torch.zeros_like(context.tokens)
        uncond = model.unet(torch.cat([noisy, nothing[0]], 1), timestep, nothing[1]).sample
        weight = 1 - guidance.alphas_bar[timestep][:, None, None, None]
        target = latents - weight * (uncond + SCALE * (cond - uncond) - noise)
    return 0.5 * (latents - target).square().sum() / len(rgb)


def our_loss(guidance: Guidance, rgb: Tensor, cameras: dict[str, Tensor]) -> Tensor:
    seen: dict[str, Any] = {**cameras}
    return guidance(rgb, **seen)["loss_sds"]


class Clock:
    def __init__(self, device: torch.device, cpu: bool) -> None:
        self.device, self.read = device, time.process_time if cpu else time.perf_counter
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        started = self.now()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + self.now() - started

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.read()

    def watch(self, owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.of(part):
                return function(*args, **kwargs)

        setattr(owner, name, timed)


class Kept:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once, the weights not counted."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = {value.untyped_storage().data_ptr() for value in model.parameters()}
        self.storages: dict[int, int] = {}

    def counting(self) -> Any:
        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.weights:
                self.storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)


def measure(
    loss_of: Callable[[Guidance, Tensor, dict[str, Tensor]], Tensor],
    guidance: Guidance,
    views: int,
    repeats: int,
    clock: Clock,
) -> Measured:
    rgb, cameras = inputs(views, guidance.refiner.settings.image_size, guidance.device)
    rows: list[dict[str, float]] = []
    cuda = guidance.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats):
        clock.seconds.clear()
        image, kept = rgb.clone().requires_grad_(), Kept(guidance.refiner)
        with clock.of("whole"):
            with kept.counting():
                loss = loss_of(guidance, image, cameras)
            with clock.of("backward"):
                loss.backward()
        rows.append(dict(clock.seconds))
    seconds = {part: statistics.median(row[part] for row in rows) for part in rows[0]}
    peak = torch.cuda.max_memory_allocated() / 1e6 if cuda else None
    assert image.grad is not None
    return Measured(seconds, image.grad.float().cpu(), sum(kept.storages.values()) / 1e6, peak)


def arrange(model: Zero123, setting: Setting, fused: bool) -> None:
    """Weights in the setting's precision and order. Precisions only fall: what float16 lost does not come back."""
    for part in (model.unet, model.vae):
        if part.dtype != setting.dtype:
            part.to(setting.dtype)
        part.to(memory_format=torch.channels_last if setting.channels_last else torch.contiguous_format)
        part.set_attn_processor(AttnProcessor2_0() if fused else AttnProcessor())
    model.cc_projection.to(setting.dtype)
    if setting.compile:
        model.unet.compile()
        model.vae.encoder.compile()


def exact(precision: torch.dtype) -> Setting:
    return Setting("exact", precision, channels_last=True)


def settings(precision: torch.dtype, gradients: list[str]) -> list[Setting]:
    name = str(precision).removeprefix("torch.")
    rows = [Setting("float32, fused attention, one pass"), Setting("and channels-last", channels_last=True)]
    best = exact(precision)
    if precision != torch.float32:
        rows.append(replace(best, name=f"and {name}"))
    rows += [
        replace(best, name=f"and {gradient} encoder gradient", encoder_gradient=gradient) for gradient in gradients
    ]
    return rows


def compare_prompt_views(model: Zero123, setting: Setting, views: int, repeats: int, clock: Clock) -> None:
    """Eight prompt views against none, turn by turn, so that both meet the machine in the same moods."""
    guidances = [Guidance(model, replace(setting, prompt_views=count)) for count in (0, 8)]
    ratios = []
    for _ in range(repeats):
        none, eight = (measure(our_loss, guidance, views, 1, clock).seconds["whole"] for guidance in guidances)
        ratios.append(eight / none)
    name, spread = f"batch {views}: 8 prompt views over none", f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"{name:36} {statistics.median(ratios):.3f}, median of {repeats} pairs ({spread})", flush=True)


def report(name: str, measured: Measured, plain: Measured) -> None:
    parts = " ".join(f"{part} {measured.seconds.get(part, 0.0):7.3f}" for part in ("encode", "U-Net", "backward"))
    cosine = F.cosine_similarity(measured.gradient.flatten().double(), plain.gradient.flatten().double(), dim=0)
    memory = f"kept {measured.saved_mb:7.1f} MB"
    if measured.peak_mb is not None:
        memory += f", peak {measured.peak_mb:8.1f} MB"
    ratio = plain.seconds["whole"] / measured.seconds["whole"]
    print(
        f"{name:36} {measured.seconds['whole']:8.3f} s  x{ratio:5.2f}  cosine {cosine:.5f}  {parts}  {memory}",
        flush=True,
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=5, help="of calls with eight prompt views and with none [5]")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--encoder-gradients", nargs="*", default=["recomputed", "linear", "small"])
    parser.add_argument("--compile", action="store_true", help="also torch.compile, last; compiling takes minutes")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    arguments = parser.parse_args(argv)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    clock = Clock(device, arguments.clock == "cpu")
    model = random_model(PUBLISHED if arguments.size == "full" else SMALL, device)
    for part, owner, method in (("encode", model.vae, "encode"), ("U-Net", model.unet, "forward")):
        clock.watch(owner, method, part)
    machine = f"{device.type}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{arguments.size}, {machine}, {arguments.clock} clock, median of {arguments.repeats}")
    baseline, precision = Setting("plain float32"), dtype_of(arguments.precision, device)
    best = exact(precision)
    plain: dict[int, Measured] = {}

    def row(setting: Setting) -> None:
        arrange(model, setting, fused=setting is not baseline)
        guidance = Guidance(model, setting)
        for views in arguments.batches:
            measured = measure(
                plain_loss if setting is baseline else our_loss, guidance, views, arguments.repeats, clock
            )
            report(f"batch {views}: {setting.name}", measured, plain.setdefault(views, measured))

    for setting in (baseline, *settings(precision, arguments.encoder_gradients)):
        row(setting)
    for views in arguments.batches:
        compare_prompt_views(model, best, views, arguments.pairs, clock)
    if arguments.compile:
        row(replace(best, name="and compiled", compile=True))


if __name__ == "__main__":
    main()
