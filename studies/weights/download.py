"""Published Zero-1-to-3 weights, fetched from huggingface.co to where the configs look for them.

    python scripts/download_weights.py NAME [--to load/zero123]      NAME: zero123-xl, zero123-105000, stable-zero123

Says what, from where, how large and under which licence, then fetches it; a broken download goes on where it stopped.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from cascade_zero123.common.errors import UserError, one_line
from cascade_zero123.zero123.weights.hub import needed_files


@dataclass(frozen=True)
class Published:
    """`file` is a checkpoint in the repository; without one, the repository itself is a folder in diffusers' layout."""

    repository: str
    file: str | None
    size: str  # as seen on the hub in 2025
    licence: str
    also: str = ""

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{self.repository}" + (f"/resolve/main/{self.file}" if self.file else "")


PUBLISHED = {
    "zero123-xl": Published(
        "bennyguo/zero123-xl-diffusers",
        None,
        "3.3 GB",
        "MIT",
        "the original, https://zero123.cs.columbia.edu/assets/zero123-xl.ckpt, has 15.5 GB",
    ),
    "zero123-105000": Published("cvlab/zero123-weights", "105000.ckpt", "15.5 GB", "MIT"),
    "stable-zero123": Published(
        "stabilityai/stable-zero123",
        "stable_zero123.ckpt",
        "8.6 GB",
        "Stability AI Non-Commercial Research Community License",
        "stable_zero123_c.ckpt beside it is under the Stability AI Community License",
    ),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=tuple(PUBLISHED))
    parser.add_argument("--to", type=Path, default=Path("load/zero123"), help="folder; load/zero123 unless given")
    options = parser.parse_args(arguments)
    published = PUBLISHED[options.name]
    place = options.to / (published.file or options.name)
    also = f" ({published.also})" if published.also else ""
    print(f"{options.name}: {published.size} from {published.page}, licence: {published.licence}{also}", flush=True)
    try:
        fetch(published, place)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(f"{place}: complete. Use it with system.guidance.base.weights={place}")
    return 0


def fetch(published: Published, place: Path) -> None:
    """The hub's library keeps what has arrived of a file, and goes on from there."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    try:
        if published.file:
            # Says at once that there is no connection; the download would try again and again first.
            HfApi().model_info(published.repository)
            hf_hub_download(published.repository, published.file, local_dir=place.parent)
        else:
            files, _ = needed_files(published.repository)
            snapshot_download(published.repository, allow_patterns=files, local_dir=place)
    except UserError:
        raise
    except Exception as error:  # the hub library's many kinds; also refused connections and full disks
        raise UserError(
            f"{published.page} could not be fetched ({type(error).__name__}: {one_line(error)}). Fetch it elsewhere "
            f"({published.size}) and put it at {place}"
        ) from error
