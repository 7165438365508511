"""What the server takes: how many bytes, how many pixels, under which name."""

import json
import re
from pathlib import Path
from typing import Any

from threestudio.errors import UserError
from threestudio.picture.read_picture import open_picture

MOST_BYTES = 32 << 20  # of a request
MOST_PIXELS = 64_000_000  # of a picture
LONGEST_NAME = 80  # characters
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")


class BodyLimit:
    """ASGI: requests that are larger than they may be are refused before they are read."""

    def __init__(self, app: Any, most_bytes: int = MOST_BYTES) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length")
        if length is None or not length.isdigit():
            await refuse(send, 411, "say the request's Content-Length")
        elif int(length) > self.most_bytes:
            await refuse(send, 413, f"{int(length) >> 20} MB; at most {self.most_bytes >> 20} MB are taken")
        else:
            await self.app(scope, receive, send)


async def refuse(send: Any, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def plain_name(name: str | None) -> str:
    """A file's name as it may be shown and logged: no folders, no control characters, not too long."""
    base = re.split(r"[/\\]", name or "")[-1]
    plain = re.sub(r"[^\w .()+-]", "_", base).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    return (f"{stem[: LONGEST_NAME - 10]}{dot}{suffix[:9]}" if dot else plain[:LONGEST_NAME]) or "picture"


def suffix_of(name: str) -> str:
    """For the file on disk; what is in it decides what it is."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""


def refuse_large(path: Path) -> None:
    """By the header alone."""
    with open_picture(path) as image:
        width, height = image.size
    if width * height > MOST_PIXELS:
        raise UserError(
            f"{path}: {width} x {height} pixels, more than {MOST_PIXELS // 1_000_000} million are not taken"
        )
