"""A whole run on a device that is not the CPU: nothing is left behind on the CPU, and the numbers are the same.

CUDA is not needed for that: see pretend_accelerator.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.weights.loading import save_zero123
from PIL import Image
from pretend_accelerator import HAS_PYTHON_BACKENDS
from tiny_zero123 import ball_picture, convolutional_model, save_tiny_cascade

ROOT = Path(__file__).parents[1]
HERE = [sys.executable, str(ROOT / "launch.py"), "--gpu", "-1"]
ELSEWHERE = [sys.executable, str(ROOT / "tests/pretend_accelerator.py")]
SMALL = [
    "use_timestamp=false",
    "exp_root_dir=out",
    "data.image_path=ball.png",
    *(f"data.{where}{side}=[16,16]" for where in ("", "random_camera.") for side in ("height", "width")),
    *(f"data.random_camera.eval_{side}=16" for side in ("height", "width")),
    "data.random_camera.n_test_views=1",
    "system.geometry.pos_encoding_config.n_levels=3",
    "system.geometry.pos_encoding_config.log2_hashmap_size=10",
    "system.geometry.isosurface_resolution=24",
    "system.renderer.num_samples_per_ray=32",
    "system.guidance.prompt_steps=2",
    "system.exporter.texture_size=64",
    "system.optimizer.args.eps=1e-4",  # else Adam makes whole steps of gradients that are nothing but rounding
]

pytestmark = pytest.mark.skipif(not HAS_PYTHON_BACKENDS, reason="this torch has no devices written in Python")


@pytest.fixture
def workplace(tmp_path):
    Image.fromarray((ball_picture(64) * 255).byte().numpy()).save(tmp_path / "ball.png")
    return tmp_path


def run(place, config, mode, *overrides, on=ELSEWHERE):
    command = [*on, "--config", str(ROOT / "configs" / config), mode, *SMALL, *overrides]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def state(place, tag):
    checkpoint = torch.load(next(place.glob(f"out/*/{tag}/ckpts/last.ckpt")), weights_only=True)
    return checkpoint["state_dict"]


def test_a_picture_becomes_the_same_field_and_a_mesh(workplace):
    weights = save_tiny_cascade(workplace / "weights")
    model = [f"system.guidance.{part}.weights={weights / part}" for part in ("base", "refiner")]
    solid = ["system.geometry.density_bias=4.0", "trainer.max_steps=4"]
    solid += ["system.surface.faces=2000", "system.surface.steps=2"]
    warm = ["system.warm_start_steps=2", "system.warm_start_views=3"]
    for tag, on in (("here", HERE), ("elsewhere", ELSEWHERE)):
        run(workplace, "cascade-zero123.yaml", "--train", *model, *solid, *warm, f"tag={tag}", on=on)
    torch.testing.assert_close(state(workplace, "elsewhere"), state(workplace, "here"))
    assert len(list(workplace.glob("out/*/elsewhere/save/it4-export/model.glb"))) == 1


def test_published_weights_take_turns_on_the_device_and_give_the_same_field(workplace):
    """Of two models: the Refiner's U-Net, image encoders and decoders leave the device and return."""
    for seed, name in enumerate(("base", "refiner")):
        save_zero123(convolutional_model(seed), workplace / name)
    model = [f"system.guidance.{part}.weights={part}" for part in ("base", "refiner")]
    few = ["trainer.max_steps=1", "export_after_train=false"]
    few += ["system.guidance.cache_dir=null", "system.guidance.precision=fp32"]
    for tag, on in (("here", HERE), ("elsewhere", ELSEWHERE)):
        run(workplace, "cascade-zero123-xl.yaml", "--train", *model, *few, f"tag={tag}", on=on)
    torch.testing.assert_close(state(workplace, "elsewhere"), state(workplace, "here"))
