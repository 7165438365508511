"""What an iteration of the Refiner's training costs over one of Zero-1-to-3's: the paper's Table 4, where it is 1.74.

    python benchmarks/train_step.py [--steps 32] [--rounds 3] [key=value ...]

One process trains each in turn, `--rounds` times, with the same batch, the same random weights and made-up views; the
median of a kind's rounds is its time. No batch shows true views, which cost no prompts. What is compared:

    zero123      configs/train-base.yaml with the source alone as context
    pool         configs/train-refiner.yaml, prompts from the pool that Base refreshes; the refreshing is counted, its
                 first filling, once a run, is not
    on the fly   the same with a pool of one batch that is sampled anew in each step
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import threestudio  # noqa: E402
from threestudio.cameras import orbit  # noqa: E402
from threestudio.extensions import load_extensions  # noqa: E402
from threestudio.utils.config import load_config  # noqa: E402

OBJECTS, VIEWS = 64, 12
PAPER = 15.7 / 9.0
# A small pool is full after few steps; refreshed at the rate of the config it costs what a large one does.
POOL = 64


class StepTimes(pl.Callback):
    """Seconds from one step's end to the next one's."""

    def __init__(self, skipped: int) -> None:
        self.skipped, self.ends = skipped, [0.0]

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """The mean, because a refresh is rare and long."""
        return (self.ends[-1] - self.ends[1 + self.skipped]) / (len(self.ends) - 2 - self.skipped)


def made_up_views(folder: Path, size: int) -> None:
    """Noise seen from everywhere, in the packed cascade layout."""
    rng = np.random.default_rng(0)
    azimuth = torch.tensor([0.0, 45.0, -45.0, 0.0, *np.linspace(60, 300, VIEWS - 4)]).float().repeat(OBJECTS)
    elevation = torch.tensor([5.0, 5.0, 5.0, 35.0, *np.linspace(-5, 50, VIEWS - 4)]).float().repeat(OBJECTS)
    cameras = torch.linalg.inv(orbit(elevation, azimuth, torch.full_like(azimuth, 3.8)))[:, :3]
    folder.mkdir()
    np.save(folder / "cameras.npy", cameras.reshape(OBJECTS, VIEWS, 3, 4).numpy())
    np.save(folder / "images.npy", rng.integers(0, 256, (OBJECTS, VIEWS, size, size, 4), dtype=np.uint8))


def train(config: str, steps: int, skipped: int, overrides: list[str]) -> float:
    cfg = load_config(str(ROOT / "configs" / config), cli_args=overrides, n_gpus=1)
    times = StepTimes(skipped)
    pl.seed_everything(0)
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=steps + skipped + 1,
        limit_val_batches=0,
        gradient_clip_val=cfg.trainer.gradient_clip_val,
        precision=cfg.trainer.get("precision", "32-true"),
        callbacks=[times],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    system = threestudio.find(cfg.system_type)(cfg.system)
    trainer.fit(system, datamodule=threestudio.find(cfg.data_type)(cfg.data))
    return times.seconds


def random_weights(folder: Path) -> int:
    """Random weights of the bundled architecture; returns its image size."""
    from cascade_zero123.zero123.architecture import Architecture, build_model
    from cascade_zero123.zero123.weights.loading import save_zero123

    cfg = load_config(str(ROOT / "configs/train-base.yaml"), n_gpus=1)
    torch.manual_seed(0)
    architecture: Any = OmegaConf.to_container(cfg.system.architecture)
    save_zero123(build_model(Architecture(**architecture)), folder)
    return cfg.system.architecture.settings.image_size


def main(steps: int, rounds: int, overrides: list[str]) -> None:
    load_extensions(ROOT / "custom")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made_up_views(folder / "views", random_weights(folder / "weights"))
        common = [
            f"data.train_folder={folder / 'views'}",
            f"data.val_folder={folder / 'views'}",
            "data.context_probability=0",
            f"system.init_weights={folder / 'weights'}",
            *overrides,
        ]
        refiner = load_config(str(ROOT / "configs/train-refiner.yaml"), cli_args=common, n_gpus=1)
        batch = refiner.data.batch_size
        prompts = refiner.system.prompts
        refresh = max(1, round(POOL * prompts.refresh_steps / prompts.pool))
        kinds = {
            "zero123": ("train-base.yaml", 1, []),
            "pool": (
                "train-refiner.yaml",
                -(-POOL // batch),
                [f"system.prompts.pool={POOL}", f"system.prompts.refresh_steps={refresh}"],
            ),
            "on the fly": (
                "train-refiner.yaml",
                1,
                [f"system.prompts.pool={batch}", "system.prompts.refresh_steps=1"],
            ),
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, (config, skipped, own) in kinds.items():
                count = max(2, steps // 4) if kind == "on the fly" else steps
                seconds[kind].append(train(config, count, skipped, [*common, *own]))
        report({kind: statistics.median(values) for kind, values in seconds.items()}, seconds, batch, prompts)


def report(median: dict[str, float], seconds: dict[str, list[float]], batch: int, prompts: Any) -> None:
    print(
        f"batch {batch}, {prompts.steps} DDIM steps at scale {prompts.scale:g}, pool of {prompts.pool} refreshed in "
        f"{prompts.refresh_steps} steps"
    )
    print(f"{'':12} {'ms a step':>10} {'ratio':>7}   (all rounds)")
    for kind, value in median.items():
        ratio = value / median["zero123"]
        rounds = [own / base for own, base in zip(seconds[kind], seconds["zero123"], strict=True)]
        print(f"{kind:12} {1e3 * value:10.0f} {ratio:7.2f}   {min(rounds):.2f} to {max(rounds):.2f}")
    print(f"{'the paper':12} {'':>10} {PAPER:7.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=32, help="measured in each round, a quarter of it on the fly")
    parser.add_argument("--rounds", type=int, default=3)
    options, keys = parser.parse_known_args()
    main(options.steps, options.rounds, keys)
