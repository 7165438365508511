"""The entry point, with threestudio's command line.

python launch.py --check data.image_path=cat.png
python launch.py --config configs/cascade-zero123.yaml --train data.image_path=cat.png
python launch.py --config configs/cascade-zero123.yaml --export resume=outputs/cascade-zero123/cat.png@<time>

Whatever the user can mend ends in one line on stderr and exit code 2; an interrupted run ends in 128 + signal number.
"""

import argparse
import os
import re
import sys
import traceback
from pathlib import Path

FIRST_GPU = "0"
ROOT = Path(__file__).resolve().parent
CUSTOM = ROOT / "custom"
DEFAULT_CONFIG = "configs/cascade-zero123.yaml"
SETTINGS = """settings that people change (all others stand in the YAML file, and are given in the same way):
  data.image_path=cat.png             the picture
  data.default_elevation_deg=20       from how high it was taken; auto: as it looks
  data.background_removal=rembg       for a busy background, or u2netp (make cut-out)
  data.object_ratio=0.75              how much of the prepared picture's side the object takes
  seed=1                              another mesh
  trainer.max_steps=520               fewer are faster and coarser
  system.guidance.guidance_scale=2    how strongly the model's idea counts
  system.exporter.fmt=glb+obj+stl     which files; ply and obj-mtl too
  system.exporter.max_faces=10000     of the mesh
  system.exporter.texture_size=2048   pixels
"""


def parse_arguments(argv: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=SETTINGS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what to do (one of)")
    mode = what.add_mutually_exclusive_group(required=True)
    mode.add_argument("--train", action="store_true", help="optimise, render the turntable, write the mesh")
    mode.add_argument("--export", action="store_true", help="write the mesh of resume= again")
    mode.add_argument("--test", action="store_true", help="render the turntable of resume=")
    mode.add_argument("--validate", action="store_true", help="render the validation views of resume=")
    mode.add_argument("--check", action="store_true", help="say what would be done with the picture, and its cost")
    with_what = parser.add_argument_group("with what")
    with_what.add_argument("--config", help=f"a YAML file [for --check {DEFAULT_CONFIG}]")
    with_what.add_argument("--gpu", help="CUDA devices, as in 0 or 1,2; -1 for the CPU [0]")
    talk = parser.add_argument_group("what is said")
    talk.add_argument("--verbose", action="store_true", help="debug messages, and tracebacks of all errors")
    parser.usage = "%(prog)s --config FILE --train|--export|--test|--validate|--check [--gpu N] [key=value ...]"
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.config is None:
        if not arguments.check:
            parser.error("the following arguments are required: --config")
        arguments.config = DEFAULT_CONFIG
    return arguments, overrides


def main(argv: list[str] | None = None) -> int:
    arguments, overrides = parse_arguments(argv)
    if arguments.gpu is not None and not re.fullmatch(r"-1|\d{1,4}(,\d{1,4})*", arguments.gpu):
        expected = "expected numbers of CUDA devices, as 0 or 1,2, or -1 for the CPU"
        print(f"--gpu {arguments.gpu}: {expected}", file=sys.stderr)
        return 2
    choose_gpus(arguments.gpu or FIRST_GPU)
    # Only now, because torch reads the choice when it is imported.
    import threestudio
    from threestudio.utils.console import one_line, quiet_libraries, set_up_console
    from threestudio.utils.interruption import Interrupted, Interruption

    set_up_console(arguments.verbose)
    try:
        with Interruption().listening() as interruption:
            if arguments.check:
                from threestudio.look import check

                check(arguments.config, overrides)
                return 0
            threestudio.info(f"{arguments.config}: the libraries are loaded, which takes seconds.")
            overrides += early_elevation(arguments.config, overrides)
            from threestudio.run import run

            if not arguments.verbose:
                quiet_libraries()
            say_where_gpus_are_missing(arguments.gpu)
            run(arguments, overrides, interruption, CUSTOM)
    except Interrupted as stop:
        return stop.exit_code
    except Exception as error:
        message = one_line(error)
        if message is None or arguments.verbose:
            traceback.print_exc()
        if message is None:
            return 1
        print(message, file=sys.stderr)
        return getattr(error, "exit_code", 2)
    return 0


def early_elevation(config: str, overrides: list[str]) -> list[str]:
    """The picture is looked at before Lightning and diffusers are there: people see at once what is made of it."""
    from threestudio.elevation.setting import found_elevation
    from threestudio.utils.config import load_config

    cfg = load_config(config, cli_args=overrides)
    return found_elevation(cfg) if cfg.resume is None else []


def say_where_gpus_are_missing(gpus: str | None) -> None:
    """Of those that were asked for: CUDA passes over what is not there."""
    import torch

    import threestudio

    asked, found = len((gpus or "-1").split(",")), torch.cuda.device_count()
    if gpus not in (None, "-1") and found < asked:
        used = f"{found} of {asked} CUDA devices are" if found else "there is no CUDA device, the CPU is"
        threestudio.warn(f"--gpu {gpus}: {used} used")


def choose_gpus(gpus: str) -> None:
    """A choice made outside, as by a cluster's scheduler, stands."""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", gpus)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while the libraries are loaded, before main listens itself
        sys.exit(130)
