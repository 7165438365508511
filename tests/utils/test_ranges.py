"""Which values config fields take: declared at the field, checked for all keys before anything is done."""

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import cascade_zero123
import pytest
from cascade_zero123.training.batches import RenderedViewsConfig
from cascade_zero123.training.prompts import PromptsConfig
from cascade_zero123.zero123.model import Settings

import threestudio
from threestudio.data.image import SingleImageDataModuleConfig
from threestudio.data.uncond import RandomCameraDataModuleConfig
from threestudio.errors import UserError
from threestudio.models.encodings.hash_grid import HashGridConfig
from threestudio.models.encodings.progressive import ProgressiveConfig
from threestudio.models.networks import MLPConfig
from threestudio.utils.config import ExperimentConfig, load_config, parse_structured
from threestudio.utils.ranges import one_of, within

REPOSITORY = Path(__file__).resolve().parents[2]
NUMBERS = {int, float}


def message(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


@dataclasses.dataclass
class Fields:
    radius: float = within(1.0, 0.5, 2.0, "world units")
    level: float | str = within("auto", 0, 100, words=("auto",))
    pair: tuple[float, float] = within((1, 2), 0, 10, rising=True)
    weight: typing.Any = within(0.5, 0, 1, schedule=True)
    weights: dict = within({}, 0, 10, schedule=True)
    kind: str = one_of("plain", "fancy")
    free: float = 1.0


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"radius": 3}, "radius: 3.0 is not within 0.5 and 2 world units"),
        ({"radius": float("nan")}, "radius: nan is not within 0.5 and 2 world units"),
        ({"radius": -float("inf")}, "radius: -inf is not within 0.5 and 2 world units"),
        ({"level": 101}, "level: 101.0 is not within 0 and 100"),
        ({"level": "much"}, 'level: "much" is not a number; expected one within 0 and 100, or one of auto'),
        ({"pair": [3, 2]}, "pair: [3.0, 2.0] does not rise; give the lower bound first"),
        ({"pair": [3, 20]}, "pair: 20.0 is not within 0 and 10"),
        ({"weight": [0, 0.1, 2.0, 100]}, "weight: 2.0 is not within 0 and 1"),
        ({"weight": [100, 0.1, 0.2, 0]}, "weight: schedule [100, 0.1, 0.2, 0]: its steps must increase"),
        ({"weights": {"rgb": "abc"}}, 'weights.rgb: "abc" is not a number; expected one within 0 and 10'),
        ({"weights": {"rgb": -1}}, "weights.rgb: -1 is not within 0 and 10"),
        ({"kind": "fance"}, 'kind: "fance" is unknown; did you mean fancy?'),
        ({"free": float("inf")}, "free: inf is not a finite number"),
        ({"radius": 10**5000}, "radius: a number of 5001 digits is too large"),
        ({"weight": 10**5000}, "weight: a number of 5001 digits is too large"),
    ],
)
def test_a_value_that_its_field_does_not_declare_is_refused_with_its_key(given, expected):
    assert message(parse_structured, Fields, given).startswith(f"config: {expected}")


def test_bounds_words_schedules_and_whole_numbers_for_floats_are_taken():
    given = {"radius": 2, "level": 25, "pair": [0, 10], "weight": [0, 0.0, 1.0, 5], "weights": {"rgb": [0, 0, 10, 5]}}
    parsed = parse_structured(Fields, given)
    assert (parsed.radius, parsed.level, parsed.weight[2]) == (2.0, 25.0, 1.0)
    assert parse_structured(Fields, {"level": "auto", "kind": "fancy"}).level == "auto"


def all_configs():
    """Every dataclass from which a config or a file of settings is parsed."""
    for name, component in sorted(threestudio.__modules__.items()):
        if hasattr(component, "Config") and component.__module__.startswith(("threestudio.", "cascade_zero123.")):
            yield name, component.Config
    for config in (
        *(ExperimentConfig, SingleImageDataModuleConfig, RandomCameraDataModuleConfig, HashGridConfig),
        *(ProgressiveConfig, MLPConfig, RenderedViewsConfig, PromptsConfig, Settings),
    ):
        yield config.__name__, config


def numeric_fields(config):
    hints = typing.get_type_hints(config)
    for declared in dataclasses.fields(config):
        hint = hints[declared.name]
        if dataclasses.is_dataclass(hint):
            yield from numeric_fields(hint)
        elif NUMBERS & set(leaves(hint)):
            yield declared


def leaves(hint):
    arguments = typing.get_args(hint)
    return [leaf for part in arguments for leaf in leaves(part)] if arguments else [hint]


@pytest.mark.parametrize("name, config", all_configs(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_numeric_field_declares_its_range(name, config):
    undeclared = [field.name for field in numeric_fields(config) if "range" not in field.metadata]
    assert undeclared == [], f"{name}: declare by threestudio.utils.ranges.within (an extension: its own ranges.py)"


def test_the_extension_declares_what_the_runtime_reads():
    from cascade_zero123.common.ranges import one_of as theirs_of
    from cascade_zero123.common.ranges import within as theirs

    ours, others = within(1.0, 0, 2, "steps", schedule=True), theirs(1.0, 0, 2, "steps", schedule=True)
    assert dict(ours.metadata) == dict(others.metadata)
    assert dict(one_of("a", "b").metadata) == dict(theirs_of("a", "b").metadata)
    assert cascade_zero123.__name__ == "cascade_zero123"


# One of each block, refused before a picture is read or weights are loaded; the key and what it takes are in the line.
WRONG = {
    "seed=-1": "seed: -1 is not within 0 and 2147483647",
    "data.default_camera_distance=-1": "data.default_camera_distance: -1.0 is not within 0.01 and 1000 world units",
    "data.random_camera.batch_size=0": "data.random_camera.batch_size: 0 is not within 1 and 10000 views",
    "data.random_camera.eval_fovy_deg=.nan": "data.random_camera.eval_fovy_deg: nan is not within 0.1 and 170 degrees",
    "system.geometry.radius=-1": "system.geometry.radius: -1.0 is not within 0.001 and 1000 world units",
    "system.geometry.pos_encoding_config.n_levels=0": "config.n_levels: 0 is not within 1 and 32",
    "system.geometry.pos_encoding_config.log2_hashmap_size=9999999999": "size: 9999999999 is not within 1 and 24",
    "system.geometry.mlp_network_config.n_neurons=-3": "mlp_network_config.n_neurons: -3 is not within 1 and 4096",
    "system.renderer.num_samples_per_ray=.inf": "system.renderer.num_samples_per_ray: Value 'inf'",
    "system.guidance.guidance_scale=.nan": "system.guidance.guidance_scale: nan is not within 0 and 1000",
    "system.guidance.min_step_percent=2": "system.guidance.min_step_percent: 2 is not within 0 and 1",
    "system.warm_start_views=9999999999": "system.warm_start_views: 9999999999 is not within 0 and 10000",
    "system.freq.normal=0": "system.freq.normal: 0 is not within 1 and 1000000000 steps",
    "system.loss.lambda_rgb=abc": 'system.loss.lambda_rgb: "abc" is not a number',
    "system.loss.lambda_rgb=.nan": "system.loss.lambda_rgb: nan is not within 0 and 100000000",
    "system.optimizer.args.lr=-1": "system.optimizer.args.lr: -1 is not within 0 and 100",
    "system.optimizer.args.betas=[0.9,.nan]": "system.optimizer.args.betas: nan is not within 0 and 1",
    "system.exporter.fmt=bmp": 'system.exporter.fmt: "bmp" is unknown',
    "system.exporter.texture_size=-5": "system.exporter.texture_size: -5 is not within 16 and 16384 pixels",
    "trainer.max_steps=.nan": "trainer.max_steps: nan is not within -1 and 1000000000",
    "trainer.max_steps=2.5": "trainer.max_steps: 2.5 is not a whole number",
    "trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches: 0 is not within 1 and 1000000",
    "checkpoint.every_n_train_steps=-1": "checkpoint.every_n_train_steps: -1 is not within 0 and 1000000000",
}
TRAINING = {
    "system.learning_rate=.nan": "system.learning_rate: nan is not within 0 and 1",
    "system.learning_rate=-1": "system.learning_rate: -1.0 is not within 0 and 1",
    "system.ema_decay=2": "system.ema_decay: 2.0 is not within 0 and 1",
    "system.max_snr_weight=.nan": "system.max_snr_weight: nan is not within 1e-06 and 1000000",
    "data.context_probability=5": "data.context_probability: 5.0 is not within 0 and 1",
    "data.zoom_range=[0,0]": "data.zoom_range: 0.0 is not within 0.05 and 20",
    "system.architecture.settings.image_size=-8": "system.architecture.settings: image_size is -8, expected a number",
    "system.architecture.scheduler.beta_end=5": "system.architecture.scheduler: beta_end is 5, expected a number",
    "system.architecture.unet.layers_per_block=0": "system.architecture.unet: layers_per_block is 0, expected a number",
}
SCRIPT = """
import sys, launch
config, *wrong = sys.argv[1:]
for override in wrong:
    print("CODE", launch.main(["--config", config, "--train", "exp_root_dir=OUT", override]), file=sys.stderr)
"""


@pytest.mark.parametrize("config, wrong", [("cascade-zero123", WRONG), ("train-base", TRAINING)])
def test_a_wrong_number_ends_a_run_at_the_start_with_its_key_and_range(tmp_path, config, wrong):
    """In one process, since what takes time is importing."""
    script = SCRIPT.replace("OUT", str(tmp_path / "outputs"))
    path = str(REPOSITORY / "configs" / f"{config}.yaml")
    command = [sys.executable, "-c", script, path, *wrong]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=500)
    lines = finished.stderr.splitlines()
    assert lines[1::2] == ["CODE 2"] * len(wrong), finished.stderr
    for line, expected in zip(lines[::2], wrong.values(), strict=True):
        assert line.startswith(("command line: ", "system.architecture")) and expected in line, (line, expected)
    assert not (tmp_path / "outputs").exists()


def test_numbers_of_a_config_and_of_the_command_line_are_told_apart(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: toy\ntag: cat\nuse_timestamp: false\nseed: -4\n")
    assert message(load_config, str(path)) == f"{path}: seed: -4 is not within 0 and 2147483647"
