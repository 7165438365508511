"""Loading takes the memory of the weights that are kept, however much else the file carries."""

import gc
from pathlib import Path

import pytest
import torch
from cascade_zero123.zero123.weights import load_zero123

from benchmarks.synthetic_checkpoint import REDUCED, ldm_yaml, write_checkpoint

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(key: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not CLEAR.exists(), reason="peak memory is reset and read by Linux's /proc")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_peak_is_near_the_kept_weights_for_a_file_with_averages_and_optimizer_states(tmp_path, dtype):
    file = tmp_path / "zero123.ckpt"
    write_checkpoint(file, REDUCED, ema=True, optimizer=True, seed=0)
    (tmp_path / "zero123.yaml").write_text(ldm_yaml(REDUCED))
    load_zero123(file, dtype=dtype, config=str(tmp_path / "zero123.yaml"))  # lets the libraries take theirs
    gc.collect()
    CLEAR.write_text("5")
    before = resident("VmRSS")
    model = load_zero123(file, dtype=dtype, config=str(tmp_path / "zero123.yaml"))
    kept = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert file.stat().st_size > (2.5 if dtype == torch.float32 else 5) * kept
    assert resident("VmHWM") - before < 1.25 * kept + 8e6
