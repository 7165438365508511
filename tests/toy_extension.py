"""A whole experiment in miniature, loaded by the tests of launch.py as an extension."""

import os
import random
import signal
from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch

import threestudio
from threestudio.models.exporters.base import Exporter, ExporterOutput
from threestudio.systems.base import BaseLift3DSystem
from threestudio.utils.base import BaseModule
from threestudio.utils.config import parse_structured

VIEWS, SIDE = 3, 5


class Steps(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            yield {"rays": torch.zeros(1, SIDE, SIDE, 3)}


class Views(torch.utils.data.Dataset):
    def __len__(self):
        return VIEWS

    def __getitem__(self, index):
        return {"index": index, "rays": torch.full((SIDE, SIDE, 3), index / VIEWS)}


@threestudio.register("toy-data")
class ToyData(pl.LightningDataModule):
    @dataclass
    class Config:
        image_path: str = "???"

    def __init__(self, cfg):
        super().__init__()
        self.cfg = parse_structured(self.Config, cfg)

    def setup(self, stage=None):
        with open(self.cfg.image_path):
            pass

    def train_dataloader(self):
        return torch.utils.data.DataLoader(Steps(), batch_size=None)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(Views(), batch_size=1)

    test_dataloader = predict_dataloader = val_dataloader


@threestudio.register("toy-geometry")
class ToyGeometry(BaseModule):
    @dataclass
    class Config(BaseModule.Config):
        size: int = 3

    def configure(self):
        self.color = torch.nn.Parameter(torch.zeros(self.cfg.size))
        self.steps_seen = []

    def update_step(self, epoch, global_step, on_load_weights=False):
        self.steps_seen.append(global_step)


@threestudio.register("toy-part")
class ToyPart(BaseModule):
    pass


@threestudio.register("toy-renderer")
class ToyRenderer(BaseModule):
    def configure(self, geometry, material, background):
        self.color = lambda: geometry.color  # not a submodule: its weights belong to the geometry

    def forward(self, rays, **batch):
        rgb = rays + self.color()[:3].sigmoid()
        return {"comp_rgb": rgb, "opacity": rgb[..., :1]}


@threestudio.register("toy-exporter")
class ToyExporter(Exporter):
    def __call__(self):
        return [ExporterOutput("colors.json", "json", {"payload": self.geometry.color.tolist()})]


@threestudio.register("toy-system")
class ToySystem(BaseLift3DSystem):
    @dataclass
    class Config(BaseLift3DSystem.Config):
        signal_at: int = -1  # step in which the process gets a signal
        signal_in: str = "train"  # or validation, start
        signal_name: str = "SIGTERM"
        nan_at_step: int = -1  # of the loss
        nan_gradient_at_step: int = -1  # of the gradient alone

    def on_fit_start(self):
        super().on_fit_start()
        torch.rand(3), random.random(), np.random.rand()  # a start that draws must not disturb a resumed run
        self.send_signal("start")

    def training_step(self, batch, batch_idx):
        noise = torch.randn(3) + random.random() + float(np.random.rand())
        loss = (self(batch)["comp_rgb"].mean() - 0.9) ** 2 + ((self.geometry.color[:3] - noise) ** 2).mean()
        toy = loss * (float("nan") if self.true_global_step == self.cfg.nan_at_step else 1.0)
        if self.true_global_step == self.cfg.nan_gradient_at_step:
            toy = toy + (self.geometry.color - self.geometry.color).abs().sqrt().sum()
        loss = toy
        self.log("train/toy", toy)
        self.log("train/loss", loss, prog_bar=True)
        self.send_signal("train")
        return loss

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        torch.rand(3)
        if batch_idx == 1:
            self.send_signal("validation")

    def send_signal(self, place):
        if place == self.cfg.signal_in and self.true_global_step == self.cfg.signal_at and not self.resumed:
            os.kill(os.getpid(), getattr(signal, self.cfg.signal_name))
