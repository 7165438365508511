"""What a run costs: seconds a step by part, and the bytes that are alive at once, at several places of the run.

The measures are those of benchmarks/sds_step.py and benchmarks/memory.py; the field is that of the checkpoints that a
finished run of the table `outcome` left, or fog where there is none. The teller's own part, in the rows "U-Net" and
"encoding", is none of the published networks'.
"""

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from studies.truth_teller.runs import REPOSITORY, Row, assignments, save_picture
from threestudio.utils.checkpoint import load_checkpoint
from threestudio.utils.config import load_config

PARTS = ("rendering", "encoding", "U-Net", "backward")


def cost_table(row: Row, kept: Path, steps: int) -> str:
    """Markdown; the checkpoints in `kept` show the field as it becomes."""
    lines = ["| config | from step | " + " | ".join(f"{part}, s" for part in (*PARTS, "whole step")) + " | peak, GB |"]
    lines.append("|---" * (len(PARTS) + 4) + "|")
    for first, checkpoint in [(0, None), *checkpoints(kept)]:
        seconds, peak = measured(row, first, checkpoint, steps)
        cells = [f"{seconds[part]:.3f}" for part in (*PARTS, "whole")]
        lines.append(f"| {row.label} | {first} | " + " | ".join(cells) + f" | {peak / 1e9:.2f} |")
    return "\n".join(lines) + "\n"


def checkpoints(kept: Path) -> list[tuple[int, Path]]:
    """The steps after which a run was saved, and where."""
    files = (kept / "run" / "ckpts").glob("*step=*.ckpt")
    return sorted((int(file.stem.rpartition("step=")[2]), file) for file in files)


def measured(row: Row, first: int, checkpoint: Path | None, steps: int) -> tuple[dict[str, float], float]:
    """Median seconds of so many steps, by part, and the bytes of all tensors alive at once in the step before them."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    from memory import LiveTensors, peak_of
    from sds_step import Experiment, measure

    import studies.truth_teller.guidance  # noqa: F401  (registers it)

    with TemporaryDirectory() as folder:
        settings = row.settings | {"data.image_path": str(save_picture(row, Path(folder)))}
        experiment = Experiment(load_config(str(row.config), cli_args=assignments(settings)))
    experiment.sample_prompt_views()
    if checkpoint is not None:
        experiment.system.load_state_dict(load_checkpoint(checkpoint)["state_dict"])
    peak = peak_of(experiment.device, LiveTensors(), partial(experiment.step, first))
    return measure(experiment, first + 1, steps), peak
