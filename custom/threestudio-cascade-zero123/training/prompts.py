"""What Base imagines for the Refiner's training: self-prompted views and coarse targets (Sec. 3.3-3.4), kept in a pool.

Sampling all prompts of a batch costs many times the training step itself. So examples (a source, some of its targets,
and what Base sampled for them) stay in a pool from which the batches are drawn; in `refresh_steps` steps all of it is
sampled anew, oldest first, by the Base of that moment, which Eq. 13 moves. A pool of one batch that is refreshed in
every step is the paper's way: everything on the fly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..cascade.stages import NEARBY_DEG, Sampling, angle_pairs, sample_views
from ..common.ranges import within
from ..views import Cameras, Views, eight_bit
from ..zero123.model import Zero123
from ..zero123.sampler import MOST_STEPS, SCALES

AT_ONCE = 8  # examples sampled together, so that small refreshes are not many small batches
RANDOM_ELEVATION_DEG = (-10.0, 60.0)


@dataclass
class PromptsConfig:
    """The block `system.prompts`."""

    views_deg: list = within([list(offset) for offset in NEARBY_DEG], -720, 720, "degrees")
    random_views: int = within(0, 0, 1000)  # this many at random poses instead
    coarse_target: bool = True
    steps: int = within(25, 1, MOST_STEPS, "of DDIM")
    scale: float = within(3.0, *SCALES)  # of classifier-free guidance
    dropout: float = within(0.3, 0, 1)  # of each prompt view and of the coarse target, for a whole batch
    targets: int = within(2, 1, 1000)  # of each example
    pool: int = within(256, 1, 10**7, "examples")  # on each process
    refresh_steps: int = within(512, 1, 10**9, "steps")  # in which all of them are sampled anew

    def __post_init__(self) -> None:
        """Raises UserError for what are no angles."""
        angle_pairs("system.prompts.views_deg", self.views_deg)

    @property
    def view_count(self) -> int:
        return self.random_views or len(self.views_deg)

    def draw_kept(self, generator: torch.Generator) -> list[int]:
        """Which of the prompt views (0..) and the coarse target (last) a batch shows."""
        slots = self.view_count + self.coarse_target
        return (torch.rand(slots, generator=generator) >= self.dropout).nonzero().flatten().tolist()

    def due(self, step: int, batch_size: int) -> int:
        """How many examples to sample anew in this step; a batch at a time until the pool is full."""
        missing = self.pool - step * batch_size
        if missing > 0:
            return min(batch_size, missing)
        at_once = min(AT_ONCE, self.pool) if self.pool < AT_ONCE * self.refresh_steps else 1
        before, after = (s * self.pool // (self.refresh_steps * at_once) for s in (step, step + 1))
        return min((after - before) * at_once, self.pool)


class ExamplePool:
    """Columns of an example: source, targets, prompt views, a coarse target for each target."""

    def __init__(self, cfg: PromptsConfig) -> None:
        self.cfg = cfg
        self.images: UInt8[Tensor, "example view channel h w"] = torch.empty(0, dtype=torch.uint8)
        self.poses: Float[Tensor, "3 example view"] = torch.empty(0)
        self.oldest = 0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def full(self) -> bool:
        """Whether it holds as many examples as it may."""
        return len(self) >= self.cfg.pool

    def put(self, examples: Views) -> None:
        """Appends while there is room, then replaces the oldest."""
        images, poses = eight_bit(examples.pictures), examples.cameras.as_tensor()
        if not self.full:
            self.images = torch.cat([self.images, images]) if len(self) else images
            self.poses = torch.cat([self.poses, poses], dim=1) if self.poses.numel() else poses
            return
        places = (self.oldest + torch.arange(len(images))) % self.cfg.pool
        self.images[places], self.poses[:, places] = images, poses
        self.oldest = (self.oldest + len(images)) % self.cfg.pool

    def draw(self, count: int, kept: list[int], generator: torch.Generator) -> Views:
        """A training batch: source, target, then the `kept` prompt views and (last) the coarse target."""
        examples = torch.randperm(len(self), generator=generator).repeat(-(-count // len(self)))[:count]
        target = torch.randint(self.cfg.targets, (count,), generator=generator)
        columns = [torch.zeros_like(target), 1 + target]
        first_prompt, first_coarse = 1 + self.cfg.targets, 1 + self.cfg.targets + self.cfg.view_count
        for slot in kept:
            is_prompt = slot < self.cfg.view_count
            columns.append(torch.full_like(target, first_prompt + slot) if is_prompt else first_coarse + target)
        rows, chosen = examples[:, None], torch.stack(columns, dim=1)
        cameras = Cameras.from_tensor(self.poses[:, rows, chosen])
        return Views(self.images[rows, chosen].float() / 255.0, cameras)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it."""
        return {"images": self.images, "poses": self.poses, "oldest": torch.tensor(self.oldest)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The state of the same pool, saved before."""
        self.images, self.poses, self.oldest = state["images"], state["poses"], int(state["oldest"])


@torch.no_grad()
def with_prompts(base: Zero123, examples: Views, cfg: PromptsConfig, generator: torch.Generator) -> Views:
    """Adds Base's prompt views (Eq. 6-7) and coarse targets to the columns source, targets; all from the source.

    Returns them on the CPU, where the pool lies.
    """
    examples, device = examples.to("cpu"), next(base.parameters()).device
    source, targets = examples[:, :1], examples.cameras[:, 1:]
    wanted = prompt_cameras(source.cameras, cfg, generator)
    if cfg.coarse_target:
        wanted = Cameras.join([wanted, targets], dim=1)
    noise = torch.randn((wanted.distance.numel(), *base.latent_shape), generator=generator)
    sampling = Sampling(cfg.steps, cfg.scale, seed=0)  # the noise is drawn here
    imagined = sample_views(base, source.to(device), wanted.to(device), noise.to(device), sampling)
    return Views.join([examples, imagined.to("cpu")], dim=1)


def prompt_cameras(source: Cameras, cfg: PromptsConfig, generator: torch.Generator) -> Cameras:
    """Where Base is asked to look from: [row prompt], from sources [row 1]."""
    if not cfg.random_views:
        return source.beside(angle_pairs("system.prompts.views_deg", cfg.views_deg))
    azimuth, elevation = torch.rand(2, len(source), cfg.random_views, generator=generator)
    low, high = RANDOM_ELEVATION_DEG
    return Cameras(
        low + (high - low) * elevation,
        source.azimuth_deg + 360.0 * azimuth,
        source.distance.expand(-1, cfg.random_views),
    )
