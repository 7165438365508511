"""A loading process outlives a signal, and never the process that trains."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = """
import multiprocessing, os, signal, time
from torch.utils.data import DataLoader, IterableDataset
from cascade_zero123.training.loading_process import StayWithTheTrainer

class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield os.getpid()

kept = iter(DataLoader(Endless(), batch_size=None, num_workers=1, worker_init_fn=StayWithTheTrainer()))
first = next(kept)
for number in (signal.SIGTERM, signal.SIGINT):
    os.kill(first, number)
time.sleep(0.5)
assert [next(kept) for _ in range(5)] == [first] * 5
print("went on")
"""


def test_it_goes_on_after_a_signal_and_ends_with_a_trainer_that_still_holds_it():
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=REPOSITORY, timeout=100
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "went on\n"
