"""Where the time of an SDS step goes, and how much of it is the network passes that no implementation can avoid.

    python benchmarks/sds_step.py [--config FILE] [--field-steps 60] [--steps 10] [key=value ...]

All numbers come from one run. The field is first trained for `--field-steps`, because an empty one renders faster and
fog slower. Without the bundled model's weights, random ones of its architecture do: they cost the same.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import threestudio  # noqa: E402
from threestudio.extensions import load_extensions  # noqa: E402
from threestudio.utils.config import load_config  # noqa: E402

PARTS = ("rendering", "encoding", "U-Net", "backward")


class Stopwatch:
    """Time spent in wrapped functions, added up by name over a step."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = self.now()
            result = function(*args, **kwargs)
            self.seconds[name] += self.now() - started
            return result

        return timed


def random_weights(folder: Path) -> list[str]:
    """Overrides that name a model of the bundled architecture with random weights."""
    from cascade_zero123.zero123.architecture import Architecture, build_model
    from cascade_zero123.zero123.weights.loading import save_zero123

    architecture: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "configs/train-base.yaml").system.architecture)
    save_zero123(build_model(Architecture(**architecture)), folder)
    return [f"system.guidance.{part}.weights={folder}" for part in ("base", "refiner")]


def a_ball(path: Path, size: int = 256) -> None:
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[:size, :size] / size * 2 - 1
    rgba = np.zeros((size, size, 4), np.uint8)
    rgba[x**2 + y**2 < 0.5] = (230, 130, 30, 255)
    Image.fromarray(rgba).save(path)


class Experiment:
    """The system and its data without a trainer; `step` is one optimiser step."""

    def __init__(self, cfg: Any) -> None:
        self.data = threestudio.find(cfg.data_type)(cfg.data)
        self.data.setup("fit")
        self.system = threestudio.find(cfg.system_type)(cfg.system).train()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.system.to(self.device)
        self.system.log = lambda *args, **kwargs: None
        self.guidance = threestudio.find(cfg.system.guidance_type)(cfg.system.guidance)
        self.system.guidance = self.guidance
        self.optimizer = self.system.configure_optimizers()["optimizer"]
        self.backward = lambda loss: loss.backward()

    def sample_prompt_views(self) -> None:
        """Once, before the first step."""
        self.guidance.set_source(torch.from_numpy(self.data.fitted.rgba))

    def step(self, index: int) -> None:
        self.system.set_resume_status(0, index)
        self.data.train_dataset.do_update_step(0, index)
        self.system.do_update_step(0, index)
        batch = on_device(self.data.train_dataset.collate(index), self.device)
        loss = self.system.training_step(batch, index)["loss"]
        self.optimizer.zero_grad()
        self.backward(loss)
        self.optimizer.step()


def on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        return {key: on_device(item, device) for key, item in value.items()}
    return value.to(device) if torch.is_tensor(value) else value


def measure(experiment: Experiment, first: int, steps: int) -> dict[str, float]:
    """Median seconds a step: the whole, its parts, and the bare network passes on inputs of the same shapes."""
    watch = Stopwatch(experiment.device)
    guidance, system = experiment.guidance, experiment.system
    unet_calls: list[tuple[tuple, dict]] = []
    bare = guidance.refiner.unet.forward
    guidance.refiner.unet.register_forward_pre_hook(
        lambda _, args, kwargs: unet_calls.append((args, kwargs)), with_kwargs=True
    )
    system.renderer.forward = watch.wrap("rendering", system.renderer.forward)
    guidance.encode = watch.wrap("encoding", guidance.encode)
    guidance.refiner.predict = watch.wrap("U-Net", guidance.refiner.predict)
    experiment.backward = watch.wrap("backward", experiment.backward)
    rows: dict[str, list[float]] = defaultdict(list)
    for index in range(first, first + steps):
        watch.seconds.clear()
        unet_calls.clear()
        started = watch.now()
        experiment.step(index)
        rows["whole"].append(watch.now() - started)
        for name in PARTS:
            rows[name].append(watch.seconds[name])
        started = watch.now()
        with torch.no_grad():
            for args, kwargs in unet_calls:
                bare(*args, **kwargs)
        rows["bare"].append(watch.now() - started)
    return {name: statistics.median(values) for name, values in rows.items()}


def report(seconds: dict[str, float]) -> None:
    whole = seconds["whole"]
    for name in PARTS:
        print(f"{name:28} {1000 * seconds[name]:8.1f} ms {seconds[name] / whole:6.1%}")
    rest = whole - sum(seconds[name] for name in PARTS)
    print(f"{'rest (optimiser, data)':28} {1000 * rest:8.1f} ms {rest / whole:6.1%}")
    print(f"{'whole SDS step':28} {1000 * whole:8.1f} ms")
    print(f"{'bare U-Net forward passes':28} {1000 * seconds['bare']:8.1f} ms")
    print(f"ratio of the step to the bare passes: {whole / seconds['bare']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/cascade-zero123.yaml"))
    parser.add_argument("--field-steps", type=int, default=60)
    parser.add_argument("--steps", type=int, default=10)
    arguments, overrides = parser.parse_known_args()
    load_extensions(ROOT / "custom")
    with tempfile.TemporaryDirectory() as folder:
        # One picture and no cache, so that the benchmark depends on nothing but the code.
        a_ball(Path(folder) / "ball.png")
        given = [f"data.image_path={folder}/ball.png", "data.default_elevation_deg=10"]
        given += ["system.guidance.cache_dir=null", "system.warm_start_steps=0"]
        if not (ROOT / "load/cascade-zero123-tiny/base").is_dir():
            given += random_weights(Path(folder) / "weights")
        cfg = load_config(arguments.config, cli_args=[*given, *overrides])
        experiment = Experiment(cfg)
        experiment.sample_prompt_views()
        for index in range(arguments.field_steps):
            experiment.step(index)
        report(measure(experiment, arguments.field_steps, arguments.steps))


if __name__ == "__main__":
    main()
