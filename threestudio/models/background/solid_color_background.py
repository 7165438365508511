"""One colour; white unless set, as Zero-1-to-3 was trained on white."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

import threestudio
from threestudio.models.background.base import BaseBackground
from threestudio.utils.misc import get_seed, step_generator
from threestudio.utils.ranges import within


@threestudio.register("solid-color-background")
class SolidColorBackground(BaseBackground):
    """One colour in all directions; while training, perhaps a random one for each view."""

    @dataclass
    class Config(BaseBackground.Config):
        n_output_dims: int = within(3, 1, 256)
        color: tuple = within((1.0, 1.0, 1.0), 0, 1)
        learned: bool = False
        # In training, replace it by one random colour a view with this probability.
        random_aug: bool = False
        random_aug_prob: float = within(0.5, 0, 1)

    cfg: Config
    env_color: Float[Tensor, "channel"]

    def configure(self) -> None:
        color = torch.tensor(tuple(self.cfg.color), dtype=torch.float32)
        if self.cfg.learned:
            self.env_color = nn.Parameter(color)
        else:
            self.register_buffer("env_color", color)
        self.update_step(0, 0)

    def forward(self, dirs: Float[Tensor, "view h w 3"]) -> Float[Tensor, "view h w channel"]:
        color = self.env_color.to(dirs).expand(*dirs.shape[:-1], self.cfg.n_output_dims)
        if self.training and self.cfg.random_aug and self._draw(1) < self.cfg.random_aug_prob:
            drawn = self._draw(len(dirs), 1, 1, self.cfg.n_output_dims).to(dirs)
            return drawn + 0.0 * color  # DDP expects every parameter in the graph
        return color

    def update_step(self, epoch: int, global_step: int, on_load_weights: bool = False) -> None:
        self._generator = step_generator(get_seed(), "background", global_step)

    def _draw(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator)
