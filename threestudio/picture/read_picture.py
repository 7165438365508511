"""A picture file in, upright 8-bit RGBA out: whatever its size, depth, palette, colour space or orientation.

Memory is bounded: a large picture is averaged down strip by strip while it is decoded, and one far beyond is refused
from its header alone. A file that ends early is refused, never shown half. Colours come out as sRGB, straight alpha.
"""

import importlib.util
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

import threestudio
from threestudio.errors import UserError
from threestudio.picture.transparency import is_premultiplied
from threestudio.utils.files import regular_file

# Formats that are plain pixels; Pillow's others start interpreters (EPS) or hold several pictures of different sizes.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
HEIF = "HEIF"  # by pillow-heif, where it is installed
HEIC_MARKS = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1")
FORMAT_NAMES = "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or AVIF"
MOST_PIXELS = 400_000_000
LONGEST_SIDE = 4096
STRIP_PIXELS = 8_000_000
SAMPLE_SIDE = 1024  # pixels, of what tells how alpha is stored

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(path: str | Path, longest_side: int = LONGEST_SIDE) -> UInt8[np.ndarray, "h w 4"]:
    """Straight RGBA; pictures larger than `longest_side` are averaged down by a whole factor."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit is checked in `open_picture`
    try:
        with open_picture(path) as image:
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                threestudio.warn(f"{path}: animated ({frames} frames); only the first frame is used")
            decode(path, image, longest_side)
            orientation = image.getexif().get(ORIENTATION_TAG, 1)
            small = shrink(path, image, longest_side)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return np.asarray(small.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else small)


def open_picture(path: str | Path) -> Image.Image:
    """Reads the header only."""
    if str(path) == "":
        raise UserError("data.image_path: empty; set it to a picture file")
    place = regular_file(path, "not found; check data.image_path", "a folder; data.image_path takes one picture file")
    try:
        image = Image.open(place, formats=(*FORMATS, HEIF) if reads_heic() else FORMATS)
    except PermissionError:
        raise UserError(f"{path}: no permission to read it; change its permissions or copy it") from None
    except Exception as error:  # Pillow's decoders raise whatever a broken header makes them raise
        if is_heic(place) and not reads_heic():
            raise UserError(
                f"{path}: HEIC, which needs pillow-heif; pip install it, or save the picture as JPEG"
            ) from None
        raise UserError(f"{path}: not a picture that can be read; save it as {FORMAT_NAMES}") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        most = MOST_PIXELS // 1_000_000
        raise UserError(f"{path}: {width} x {height} pixels, more than {most} million; scale it down first")
    return image


def is_heic(place: Path) -> bool:
    with open(place, "rb") as file:
        return file.read(12)[4:] in HEIC_MARKS


@lru_cache(maxsize=1)
def reads_heic() -> bool:
    """Where pillow-heif is installed, Pillow is told of it."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def decode(path: str | Path, image: Image.Image, longest_side: int) -> None:
    """JPEGs are scaled by the decoder itself; everything else is decoded whole."""
    if image.format in ("JPEG", "MPO") and max(image.size) > 2 * longest_side:
        image.draft(None, (longest_side, longest_side))
    try:
        image.load()
    except MemoryError:
        raise UserError(f"{path}: {image.width} x {image.height} pixels do not fit in memory; scale it down") from None
    except Exception as error:  # OSError, SyntaxError, EOFError, struct.error, ...: one for every decoder
        raise UserError(f"{path}: truncated or damaged; save or download it again") from error
    if image.mode == "F":
        raise UserError(f"{path}: floating-point pixels, whose range is unknown; save it with 8 or 16 bits a channel")


def shrink(path: str | Path, image: Image.Image, longest_side: int) -> Image.Image:
    """RGBA, averaged over blocks of `factor` pixels; alpha weighs the colours, so that hidden ones do not leak."""
    factor = -(-max(image.size) // longest_side)
    width, height = image.size
    to_srgb = srgb_transform(path, image)
    to_straight = straightening(path, image)
    if factor == 1:
        return to_straight(to_rgba(image, to_srgb))
    small = Image.new("RGBA", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, STRIP_PIXELS // width // factor)
    for top in range(0, height, rows):
        strip = to_straight(to_rgba(image.crop((0, top, width, min(top + rows, height))), to_srgb))
        small.paste(strip.convert("RGBa").reduce(factor).convert("RGBA"), (0, top // factor))
    return small


def straightening(path: str | Path, image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What brings parts of the picture to straight alpha: division by it, where the colours are multiplied already."""
    if image.mode != "RGBA":
        return lambda part: part
    factor = -(-max(image.size) // SAMPLE_SIDE)
    sample = image.resize((-(-image.width // factor), -(-image.height // factor)), Image.Resampling.NEAREST)
    if not is_premultiplied(np.asarray(sample)):
        return lambda part: part
    threestudio.warn(f"{path}: its colours are multiplied by alpha already; they are divided by it again")
    return lambda part: Image.frombytes("RGBa", part.size, part.tobytes()).convert("RGBA")


def to_rgba(image: Image.Image, to_srgb: Any) -> Image.Image:
    if image.mode.startswith("I"):
        return grey_16_bit_to_rgba(image)
    if to_srgb is None:
        return image.convert("RGBA")
    alpha = image.convert("RGBA").getchannel("A")
    colours = image if image.mode == "CMYK" else image.convert("RGB")
    converted = ImageCms.applyTransform(colours, to_srgb)
    assert converted is not None  # it is where the colours are changed in place
    rgba = converted.convert("RGBA")
    rgba.putalpha(alpha)
    return rgba


def grey_16_bit_to_rgba(image: Image.Image) -> Image.Image:
    """Pillow would clip these to 255; 65535 / 257 = 255."""
    values = np.asarray(image).astype(np.int64)
    grey = np.clip((values + 128) // 257, 0, 255).astype(np.uint8)
    transparent = image.info.get("transparency")
    alpha = np.full_like(grey, 255) if transparent is None else np.where(values == transparent, 0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey, grey, alpha], axis=-1))


def srgb_transform(path: str | Path, image: Image.Image) -> Any:
    """From the embedded colour profile; None without one, or if it says nothing that can be used."""
    if not image.info.get("icc_profile") or image.mode not in ("RGB", "RGBA", "P", "PA", "CMYK"):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        mode = "CMYK" if image.mode == "CMYK" else "RGB"
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError):
        threestudio.warn(f"{path}: its colour profile cannot be used; colours are taken as sRGB")
        return None
