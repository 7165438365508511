"""Novel views from Python, by diffusers' conventions.

    from cascade_zero123.pipeline import CascadeZero123Pipeline

    pipeline = CascadeZero123Pipeline.from_pretrained("load/cascade-zero123-tiny")
    views = pipeline("load/images/cat.png", poses=[(90, 10), (180, 10)], num_inference_steps=25).images
    views[0].save("right.png")

It is no subclass of diffusers' DiffusionPipeline: that one's files are one `model_index.json` over parts, while a
cascade is two models of which the Refiner shares parts of Base, read safely and checked by zero123/weights.py.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .cascade.models import LoadedModels
from .cascade.source import centred, read_rgba, view_for
from .cascade.stages import NEARBY_DEG, Cascade, Sampling, Stage, angle_pairs, console_bars
from .common.errors import UserError
from .novel_view.sampling import TargetSampling, novel_views, target_poses
from .views import Cameras, Views
from .zero123.model import Zero123
from .zero123.sampler import Progress
from .zero123.weights.loading import announce, load_zero123

OUTPUT_TYPES = ("pil", "np", "pt")


@dataclass
class CascadeZero123PipelineOutput(BaseOutput):
    """In the pipeline's `output_type`: a list of pictures, an array [view h w 3] or a tensor [view 3 h w] in [0, 1]."""

    images: Any
    coarse_images: Any  # Base's views from the same cameras; None without coarse target
    prompt_images: Any  # the self-prompted views


class CascadeZero123Pipeline:
    """Base-0123 and Refiner-0123; the same model twice is the paper's frozen cascade (Table 3)."""

    def __init__(self, base: Zero123, refiner: Zero123 | None = None) -> None:
        self.base, self.refiner = base, base if refiner is None else refiner
        self._progress_bar: dict[str, Any] = {}

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        refiner: str | Path | None = None,
        torch_dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> "CascadeZero123Pipeline":
        """A folder with `base/` and `refiner/`; or the weights of one Zero-1-to-3, with those of a Refiner or alone."""
        base, folder = Path(folder), Path(folder)
        if (folder / "base").is_dir():
            base = folder / "base"
            refiner = refiner or (folder / "refiner" if (folder / "refiner").is_dir() else None)
        load = [base] if refiner is None else [base, Path(refiner)]
        models = [load_zero123(path, device, torch_dtype) for path in load]
        for path, model in zip(load, models, strict=True):
            announce(path, model)
        return cls(*models)

    def to(self, device: torch.device | str) -> "CascadeZero123Pipeline":
        self.base, self.refiner = self.base.to(device), self.refiner.to(device)
        return self

    @property
    def device(self) -> torch.device:
        return next(self.base.parameters()).device

    def set_progress_bar_config(self, disable: bool | None = None) -> None:
        """Progress is shown on terminals; True is never, False is always."""
        self._progress_bar = {"disable": disable}

    def __call__(
        self,
        image: str | Path | Image.Image | Float[Tensor, "ih iw 4"],
        poses: Sequence[Sequence[float]],
        *,
        elevation_deg: float | None = None,
        prompt_views: Sequence[Sequence[float]] = NEARBY_DEG,
        coarse_target: bool = True,
        num_inference_steps: int = 50,
        num_prompt_steps: int | None = None,
        guidance_scale: float = 3.0,
        prompt_guidance_scale: float | None = None,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
        chunk_size: int = 8,
        output_type: str = "pil",
        return_dict: bool = True,
        callback: Callable[[str, int, int], None] | None = None,
    ) -> CascadeZero123PipelineOutput | tuple:
        """The object of `image` from `poses`, (azimuth, elevation) in degrees: azimuth from the image's own camera,
        elevation from the horizon.

        An image with transparency is centred as the model knows objects; one without is taken as it is, square and on
        white. `elevation_deg` is that of its camera (by default the typical one of the weights). `prompt_views` are
        offsets from the image's camera; [] with `coarse_target=False` is plain Zero-1-to-3 by the Refiner's weights.
        The steps and scale of prompts and coarse targets are by default those that the Refiner's settings name.
        `generator` decides all noise (None: seed 0). `callback(stage, done, total)` is told of every network step.
        """
        if output_type not in OUTPUT_TYPES:
            raise UserError(f'output_type "{output_type}"; known are {", ".join(OUTPUT_TYPES)}')
        settings = self.base.settings
        elevation = settings.cond_elevation_deg if elevation_deg is None else elevation_deg
        seed = 0 if generator is None else int(torch.randint(2**31, (), generator=generator, device=generator.device))
        prompts = prompt_sampling(self.refiner, num_prompt_steps, prompt_guidance_scale, seed)
        stage = Stage(angle_pairs("prompt_views", prompt_views), prompts)
        camera = Cameras.one(elevation, 0.0, settings.camera_distance, self.device)
        made = novel_views(
            Cascade([stage, Stage()], LoadedModels([self.base, self.refiner])),
            self.refiner,
            view_for(self.refiner, prepared(image, settings.object_ratio), camera),
            target_poses(poses, [], [], settings.camera_distance, self.device),
            TargetSampling(num_inference_steps, guidance_scale, seed, eta, chunk_size),
            coarse_target,
            self._bars(callback),
        )
        output = CascadeZero123PipelineOutput(
            images=_converted(made.views, output_type),
            coarse_images=None if made.coarse is None else _converted(made.coarse, output_type),
            prompt_images=_converted(made.shown[1:], output_type),
        )
        return output if return_dict else output.to_tuple()

    def _bars(self, callback: Callable[[str, int, int], None] | None) -> Any:
        @contextmanager
        def bars(name: str, total: int) -> Iterator[Progress]:
            with console_bars(name, total, **self._progress_bar) as show:

                def told(done: int, of: int) -> None:
                    show(done, of)
                    if callback is not None:
                        callback(name, done, of)

                yield told

        return bars


def prompt_sampling(refiner: Zero123, steps: int | None, scale: float | None, seed: int) -> Sampling:
    """What is given, else what the Refiner is shown best."""
    settings = refiner.settings
    return Sampling(
        settings.prompt_steps if steps is None else steps, settings.prompt_scale if scale is None else scale, seed
    )


def prepared(image: str | Path | Image.Image | Float[Tensor, "ih iw 4"], ratio: float) -> Float[Tensor, "side side 4"]:
    """Straight alpha, in [0, 1]; what has a transparent pixel is centred, its object `ratio` of the side."""
    if isinstance(image, Image.Image):
        rgba = torch.from_numpy(np.asarray(image.convert("RGBA"), dtype=np.float32) / 255)
    else:
        rgba = image if isinstance(image, Tensor) else read_rgba(image)
    if bool((rgba[..., 3] < 1).any()):
        return centred(rgba, ratio)
    if rgba.shape[0] != rgba.shape[1]:
        raise UserError(f"an opaque image of {rgba.shape[1]} x {rgba.shape[0]} pixels; cut its object out, or pad it")
    return rgba


def _converted(views: Views, output_type: str) -> Any:
    """Their colours, on white."""
    images = views.colors.float().cpu()
    if output_type == "pt":
        return images
    array = images.permute(0, 2, 3, 1).numpy()
    if output_type == "np":
        return array
    return [Image.fromarray(picture) for picture in (array * 255).round().astype(np.uint8)]
