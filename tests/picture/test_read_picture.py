"""Every kind of picture file gives upright 8-bit RGBA, or one line that says what is wrong with it."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from threestudio.errors import UserError
from threestudio.picture import read_picture as reading
from threestudio.picture.read_picture import read_picture


@pytest.fixture
def picture():
    """A smooth picture whose corners all differ, so that a turn or a flip shows."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([x * 4, y * 6, 255 - x * 2, np.full_like(x, 255)], axis=-1).astype(np.uint8)


def error_of(path):
    with pytest.raises(UserError) as caught:
        read_picture(path)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_png_rgba_is_read_exactly(tmp_path, picture):
    picture[..., 3] = picture[..., 0]
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_becomes_its_8_bit_version(tmp_path, picture, channels):
    eight = picture[..., 0] if channels == 1 else picture[..., :channels]
    sixteen = eight.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), sixteen if channels == 1 else sixteen[..., [2, 1, 0, 3][:channels]])
    read = read_picture(tmp_path / "a.png")
    expected = np.repeat(eight[..., None], 3, axis=-1) if channels == 1 else eight
    assert np.array_equal(read[..., : expected.shape[-1]], expected)


def test_16_bit_grey_tiff_is_not_clipped(tmp_path):
    Image.fromarray(np.full((20, 20), 128 * 257, dtype=np.uint16)).save(tmp_path / "a.tiff")
    assert np.unique(read_picture(tmp_path / "a.tiff")[..., 0]).tolist() == [128]


def test_floating_point_tiff_is_refused(tmp_path):
    Image.fromarray(np.zeros((20, 20), dtype=np.float32)).save(tmp_path / "a.tiff")
    found = "floating-point pixels, whose range is unknown; save it with 8 or 16 bits a channel"
    assert error_of(tmp_path / "a.tiff") == f"{tmp_path}/a.tiff: {found}"


def test_palette_with_transparency_keeps_both(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 10, 20))
    image.save(tmp_path / "a.png", transparency=0)
    read = read_picture(tmp_path / "a.png")
    assert read[5, 15].tolist() == [200, 100, 50, 255]
    assert read[5, 5, 3] == 0


def test_grey_and_grey_with_alpha(tmp_path):
    Image.new("L", (20, 20), 77).save(tmp_path / "l.png")
    Image.new("LA", (20, 20), (77, 99)).save(tmp_path / "la.png")
    assert read_picture(tmp_path / "l.png")[0, 0].tolist() == [77, 77, 77, 255]
    assert read_picture(tmp_path / "la.png")[0, 0].tolist() == [77, 77, 77, 99]


def test_1_bit_is_black_and_white(tmp_path):
    Image.new("1", (20, 20), 1).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png")[0, 0].tolist() == [255, 255, 255, 255]


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    Image.new("RGB", (32, 32), (200, 40, 30)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    red = read_picture(tmp_path / "a.jpg")[16, 16].astype(int)
    assert np.abs(red - [200, 40, 30, 255]).max() < 8


def test_an_embedded_profile_is_converted_to_srgb(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (20, 20), (200, 40, 30)).save(tmp_path / "a.png", icc_profile=lab)
    assert np.abs(read_picture(tmp_path / "a.png")[0, 0].astype(int) - [200, 40, 30, 255]).max() <= 1


def adobe_rgb() -> bytes:
    """The profile, by the numbers of its specification of 1998: primaries adapted to D50, gamma 563 / 256."""

    def number(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    columns = {"r": (0.60974, 0.31111, 0.01947), "g": (0.20528, 0.62567, 0.06087), "b": (0.14919, 0.06322, 0.74457)}
    white = (0.9642, 1.0, 0.82491)
    tags = {f"{name}XYZ": b"XYZ \0\0\0\0" + b"".join(map(number, xyz)) for name, xyz in columns.items()}
    tags["wtpt"] = b"XYZ \0\0\0\0" + b"".join(map(number, white))
    gamma = b"curv\0\0\0\0" + (1).to_bytes(4, "big") + (563).to_bytes(2, "big") + b"\0\0"
    tags |= {f"{name}TRC": gamma for name in "rgb"}
    text = b"Adobe RGB by hand"
    tags["desc"] = b"desc\0\0\0\0" + (len(text) + 1).to_bytes(4, "big") + text.ljust(len(text) + 79, b"\0")
    tags["cprt"] = b"text\0\0\0\0none\0\0\0\0"
    start, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content = content.ljust(-(-len(content) // 4) * 4, b"\0")
        table += name.encode() + (start + len(data)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        data += content
    head = (start + len(data)).to_bytes(4, "big") + b"lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    head += bytes(28) + b"".join(map(number, white))
    return head.ljust(128, b"\0") + len(tags).to_bytes(4, "big") + table + data


def srgb_of_adobe(rgb):
    """In float64, by both specifications' own matrices to XYZ of D65."""
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_srgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    linear = (np.array(to_srgb) @ np.array(to_xyz) @ (np.array(rgb) / 255) ** (563 / 256)).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "P with a clear colour"])
def test_adobe_rgb_becomes_srgb_whatever_the_mode(tmp_path, mode):
    color = (60, 130, 40)
    image = Image.new("RGB", (20, 20), color)
    clear = {"transparency": 1} if mode.endswith("colour") else {}
    image = image.quantize(2) if mode.startswith("P") else image.convert(mode)
    image.save(tmp_path / "a.png", icc_profile=adobe_rgb(), **clear)
    found = read_picture(tmp_path / "a.png")[10, 10]
    expected = srgb_of_adobe(color)
    assert np.abs(expected - color).max() > 20 and np.abs(found[:3] - expected).max() <= 2


def test_a_broken_profile_is_said_and_ignored(tmp_path, caplog):
    Image.new("RGB", (20, 20), (200, 40, 30)).save(tmp_path / "a.png", icc_profile=b"nonsense")
    assert read_picture(tmp_path / "a.png")[0, 0].tolist() == [200, 40, 30, 255]
    assert "its colour profile cannot be used; colours are taken as sRGB" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, picture, orientation):
    upright = Image.fromarray(picture[..., :3])
    stored = upright.transpose(undo(orientation)) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=98, subsampling=0)
    read = read_picture(tmp_path / "a.jpg")[..., :3].astype(int)
    assert read.shape == (40, 60, 3)
    assert np.abs(read - picture[..., :3]).mean() < 3


def undo(orientation):
    swaps = {
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    }
    return swaps.get(reading.UPRIGHT[orientation], reading.UPRIGHT[orientation])


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_used_and_said(tmp_path, caplog, suffix):
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    assert read_picture(path)[15, 15].tolist() == [255, 0, 0, 255]
    assert f"{path}: animated (3 frames); only the first frame is used" in caplog.text


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
def test_a_truncated_file_is_refused_and_not_half_shown(tmp_path, suffix, share):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert error_of(path) in (
        f"{path}: truncated or damaged; save or download it again",
        f"{path}: not a picture that can be read; save it as {reading.FORMAT_NAMES}",
    )


def test_a_damaged_png_is_refused(tmp_path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    assert error_of(path) == f"{path}: truncated or damaged; save or download it again"


def test_what_is_missing_or_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("not pixels")
    (tmp_path / "empty.png").touch()
    formats = "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or AVIF"
    assert error_of("") == "data.image_path: empty; set it to a picture file"
    assert error_of(tmp_path / "no.png") == f"{tmp_path}/no.png: not found; check data.image_path"
    assert error_of(tmp_path) == f"{tmp_path}: a folder; data.image_path takes one picture file"
    for name in ("text.png", "empty.png"):
        assert error_of(tmp_path / name) == f"{tmp_path}/{name}: not a picture that can be read; save it as {formats}"


def test_20000_pixels_wide_is_averaged_down(tmp_path):
    wide = np.zeros((100, 20_000, 4), dtype=np.uint8)
    wide[:, :10_000] = (255, 0, 0, 255)
    Image.fromarray(wide).save(tmp_path / "a.png", compress_level=1)
    read = read_picture(tmp_path / "a.png")
    assert read.shape == (20, 4000, 4)
    assert read[10, 1999].tolist() == [255, 0, 0, 255] and read[10, 2000, 3] == 0


def test_a_large_jpeg_is_scaled_by_its_decoder(tmp_path):
    Image.new("RGB", (20_000, 64), (10, 200, 30)).save(tmp_path / "a.jpg")
    read = read_picture(tmp_path / "a.jpg")
    assert max(read.shape) <= reading.LONGEST_SIDE
    assert np.abs(read[-1, 100].astype(int) - [10, 200, 30, 255]).max() < 4


def test_averaging_down_equals_the_mean_in_colours_weighted_by_alpha(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (8, 12, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png", longest_side=3).astype(float)
    blocks = rgba.reshape(2, 4, 3, 4, 4).astype(float)
    alpha = blocks[..., 3].mean(axis=(1, 3))
    colours = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / alpha[..., None]
    assert np.abs(read[..., 3] - alpha).max() <= 1
    assert np.abs(read[..., :3] - colours).max() <= 3


def test_a_decompression_bomb_is_refused_from_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    (tmp_path / "bomb.png").write_bytes(data)
    found = "60000 x 50000 pixels, more than 400 million; scale it down first"
    assert error_of(tmp_path / "bomb.png") == f"{tmp_path}/bomb.png: {found}"


def test_pillows_own_limit_is_left_as_it_was(tmp_path, picture):
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(picture).save(tmp_path / "a.png")
    read_picture(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS
