"""Loading takes the memory of the weights that are kept, however much else the file carries."""

import gc
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.model import Zero123
from cascade_zero123.zero123.weights.loading import load_zero123, save_zero123

from benchmarks.synthetic_checkpoint import REDUCED, ldm_yaml, write_checkpoint

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(key: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not CLEAR.exists(), reason="peak memory is reset and read by Linux's /proc")
@pytest.mark.parametrize(
    ("dtype", "channels_last"), [(torch.float32, False), (torch.float32, True), (torch.float16, True)]
)
def test_the_peak_is_near_the_kept_weights_for_a_file_with_averages_and_optimizer_states(
    tmp_path, dtype, channels_last
):
    file = tmp_path / "zero123.ckpt"
    write_checkpoint(file, REDUCED, ema=True, optimizer=True, seed=0)
    (tmp_path / "zero123.yaml").write_text(ldm_yaml(REDUCED))
    config = str(tmp_path / "zero123.yaml")
    load_zero123(file, dtype=dtype, config=config, channels_last=channels_last)  # lets the libraries take theirs
    gc.collect()
    CLEAR.write_text("5")
    before = resident("VmRSS")
    model = load_zero123(file, dtype=dtype, config=config, channels_last=channels_last)
    kept = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert file.stat().st_size > (2.5 if dtype == torch.float32 else 5) * kept
    assert resident("VmHWM") - before < 1.25 * kept + 8e6


@pytest.mark.skipif(not CLEAR.exists(), reason="memory of a process's own is read by Linux's /proc")
def test_weights_that_lie_as_they_are_wanted_are_used_from_the_file(tmp_path):
    """So loading copies nothing, and processes on one machine share their pages."""
    model = load_reduced(tmp_path)
    save_zero123(model, tmp_path / "folder")
    load_zero123(tmp_path / "folder")  # lets the libraries take theirs
    gc.collect()
    before = resident("RssAnon")
    loaded = load_zero123(tmp_path / "folder")
    kept = sum(tensor.nbytes for tensor in loaded.state_dict().values())
    assert resident("RssAnon") - before < 0.25 * kept
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_changing_loaded_weights_leaves_the_file_as_it_was(tmp_path):
    save_zero123(load_reduced(tmp_path), tmp_path / "folder")
    first, again = load_zero123(tmp_path / "folder"), load_zero123(tmp_path / "folder")
    for value in first.parameters():
        value.zero_()
    assert all(value.any() for name, value in again.named_parameters() if name.endswith("conv_in.weight"))
    third = load_zero123(tmp_path / "folder")
    for name, value in again.state_dict().items():
        assert torch.equal(value, third.state_dict()[name])


def load_reduced(folder: Path) -> Zero123:
    write_checkpoint(folder / "zero123.ckpt", REDUCED, ema=False, optimizer=False, seed=0)
    (folder / "zero123.yaml").write_text(ldm_yaml(REDUCED))
    return load_zero123(folder / "zero123.ckpt", config=str(folder / "zero123.yaml"))
