"""Weights by their hub id (`hub:owner/name`): said what, from where and how large, then fetched once.

Only the files that are read are fetched: configurations, and one file of weights a part. A model that the hub's cache
has already is used without a connection.
"""

import re
from pathlib import Path

import threestudio

from ...common.errors import UserError, one_line
from .diffusers_folder import OTHER_PROJECTION, PARTS, chosen_weights, folder_files

HUB = "hub:"  # only what is written so is asked for: a mistyped folder must not go out into the network
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FILE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".safetensors")
FOLDERS = (*PARTS, OTHER_PROJECTION, "scheduler")


def looks_like_hub_id(path: str) -> bool:
    """`owner/name`, unless it reads as a place on this disk: a file's suffix, or a folder `owner` here."""
    return bool(HUB_ID.fullmatch(path)) and Path(path).suffix not in FILE_SUFFIXES and not Path(path).parent.exists()


def hub_folder(hub_id: str) -> Path:
    """The folder with the model's files, in the hub's cache."""
    from huggingface_hub import snapshot_download

    if not HUB_ID.fullmatch(hub_id):
        raise UserError(f"{HUB}{hub_id}: expected {HUB}owner/name")
    try:
        # With patterns, because without them the hub library asks for the whole repository, most of which is not read.
        cached = Path(snapshot_download(hub_id, allow_patterns=["unet/config.json"], local_files_only=True))
        folder_files(cached)
        return cached
    except Exception:  # none cached, or not all of it, by any of the hub library's many errors
        pass
    try:
        files, size = needed_files(hub_id)
        threestudio.info(f"Downloading {hub_id} from huggingface.co: {len(files)} files, {size / 1e9:.1f} GB")
        return Path(snapshot_download(hub_id, allow_patterns=files))
    except UserError:
        raise
    except Exception as error:  # likewise; also connections refused, names unknown, disks full
        raise UserError(
            f"{HUB}{hub_id}: not in the hub's cache, and not to be had from https://huggingface.co/{hub_id} "
            f"({type(error).__name__}: {one_line(error)}); fetch it elsewhere and name the folder"
        ) from error


def needed_files(hub_id: str) -> tuple[list[str], int]:
    """Names and total bytes of the files that are read."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(hub_id, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    names = [name for name in sizes if name == "zero123.json" or name.split("/")[0] in FOLDERS]
    if not any(name.startswith("unet/") for name in names):
        raise UserError(f"https://huggingface.co/{hub_id} has no unet/; not a Zero-1-to-3 in diffusers' layout")
    chosen = [name for name in names if name.endswith(".json")]
    for part in (*PARTS, OTHER_PROJECTION):
        best = chosen_weights(part, [name.split("/", 1)[1] for name in names if name.startswith(f"{part}/")])
        chosen += [f"{part}/{best}"] if best else []
    return chosen, sum(sizes[name] for name in chosen)
