"""An experiment in miniature, for tests of the command line: its config, how it is run, what it says."""

import torch

import launch

CONFIG = """
name: toy
tag: cat
use_timestamp: false
data_type: toy-data
data: {image_path: cat.png}
system_type: toy-system
system:
  geometry_type: toy-geometry
  material_type: toy-part
  background_type: toy-part
  renderer_type: toy-renderer
  exporter_type: toy-exporter
  optimizer: {name: Adam, args: {lr: 0.1}}
trainer: {max_steps: 12, val_check_interval: 5, num_sanity_val_steps: 0, log_every_n_steps: 1, precision: 16-mixed}
checkpoint: {save_last: true, save_top_k: -1, every_n_train_steps: 4}
"""


def run(*arguments, mode="--train"):
    return launch.main(["--config", "x.yaml", mode, *arguments])


def colors(folder="outputs/toy/cat"):
    checkpoint = torch.load(f"{folder}/ckpts/last.ckpt", weights_only=True)
    return checkpoint["global_step"], checkpoint["state_dict"]["geometry.color"]


def only_error(capsys):
    """The one line on stderr."""
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 1, lines
    return lines[0]
