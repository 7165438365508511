"""An opaque picture in, RGBA out: a plain background is cut away, a busy one is refused (or left to a network).

The background's colour is a smooth surface (a quadratic in x and y, so that studio shading counts as plain) fitted to
the picture's border in CIE Lab. GrabCut (Rother et al. 2004) starts from what departs from that surface. Along the
outline, alpha is how far a pixel lies on the way from the known background to the object's colour next to it.
"""

import importlib.util
import os
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

import threestudio
from threestudio.errors import UserError
from threestudio.picture.checkerboard import checkerboard
from threestudio.picture.shadows import cast_shadow
from threestudio.picture.u2netp import with_u2netp

METHODS = ("grabcut", "rembg", "u2netp")
LONGEST_SIDE = 1024
GRABCUT_SIDE = 512
GRABCUT_ROUNDS = 4

PLAIN_DELTA = 10.0  # CIE Lab units between a plain background and its smooth surface
PLAIN_SHARE = 0.75  # of the border; the object may touch the rest
OBJECT_SHARE = (0.002, 0.95)  # of the picture's pixels
SCENE_SHARE = 0.005  # of the object's area: another thing at the border this large is no speck
HOLE_DELTA = 3.0  # an enclosed region this close to the background is a hole and not a bright belly
HOLE_SHARE = 0.0002  # smaller enclosed regions are specks

ADVICE = "cut the object out and save it as a PNG with transparency, or set data.background_removal=rembg"
REMBG_MODEL = "u2net"
REMBG_URL = "https://github.com/danielgatis/rembg/releases"


def cut_out(
    path: str | Path, rgb: UInt8[np.ndarray, "h w 3"], method: str = "grabcut"
) -> UInt8[np.ndarray, "new_h new_w 4"]:
    """Straight RGBA, at most `LONGEST_SIDE` pixels on its longer side."""
    if method not in METHODS:
        raise UserError(f'data.background_removal: "{method}" is unknown; take one of {", ".join(METHODS)}')
    rgb = shrink(rgb, LONGEST_SIDE)
    return {"grabcut": with_grabcut, "rembg": with_rembg, "u2netp": with_u2netp}[method](path, rgb)


def shrink(picture: UInt8[np.ndarray, "h w 3"], longest_side: int) -> UInt8[np.ndarray, "new_h new_w 3"]:
    scale = longest_side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def with_grabcut(path: str | Path, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 4"]:
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    surface, plain_share = background_surface(lab)
    board = checkerboard(lab)
    if board is not None:
        surface, plain_share = board, 1.0
    if plain_share < PLAIN_SHARE:
        found = f"only {plain_share:.0%} of its border has the background's colour"
        raise UserError(f"{path}: opaque with a busy background ({found}); {ADVICE}")
    delta = np.linalg.norm(lab - surface, axis=-1)
    inside = object_mask(rgb, delta)
    if not OBJECT_SHARE[0] < inside.mean() < OBJECT_SHARE[1]:
        raise UserError(f"{path}: opaque, and no object stands out from its background; {ADVICE}")
    if looks_like_a_scene(inside):
        raise UserError(f"{path}: opaque with a busy background (several things reach its border); {ADVICE}")
    kind = "plain background" if board is None else "painted checkerboard"
    threestudio.warn(f"{path}: has no transparency; its {kind} was cut out by GrabCut, look at the result")
    backdrop = cv2.cvtColor(surface, cv2.COLOR_LAB2RGB).clip(0, 1)
    if board is None:
        shadow = told_shadow(path, lab, surface, inside)
        inside, backdrop = inside & ~shadow, np.where(shadow[..., None], rgb.astype(np.float32) / 255, backdrop)
    alpha = outline_alpha(rgb.astype(np.float32) / 255, backdrop, inside)
    return np.dstack([rgb, (alpha * 255).round().astype(np.uint8)])


def told_shadow(
    path: str | Path,
    lab: Float[np.ndarray, "h w 3"],
    surface: Float[np.ndarray, "h w 3"],
    inside: Bool[np.ndarray, "h w"],
) -> Bool[np.ndarray, "h w"]:
    """What is to be taken off the object as its shadow, said; where that cannot be told, only said."""
    shadow, told = cast_shadow(lab, surface, inside)
    if not shadow.any():
        return shadow
    if not told:
        threestudio.warn(f"{path}: the object is as grey as shadows are; if it has one below it, cut it out yourself")
        return np.zeros_like(shadow)
    share = shadow.sum() / inside.sum()
    threestudio.warn(f"{path}: {share:.0%} of the object's pixels were its shadow and were cut off, look at the result")
    return shadow


def background_surface(lab: Float[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w 3"], float]:
    """The background's colour everywhere, and the share of the border that it explains (refitted to that share)."""
    height, width = lab.shape[:2]
    y, x = (axis.astype(np.float32) for axis in np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j])
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    border = border_mask(height, width)
    border_terms, border_lab = terms[border], lab[border]
    surface = np.broadcast_to(np.median(border_lab, axis=0), border_lab.shape)
    for _ in range(5):
        plain = np.linalg.norm(border_lab - surface, axis=-1) < PLAIN_DELTA
        if plain.mean() < 0.25:  # too few to say anything
            break
        coefficients = np.linalg.lstsq(border_terms[plain], border_lab[plain], rcond=None)[0]
        surface = border_terms @ coefficients
    else:
        plain = np.linalg.norm(border_lab - surface, axis=-1) < PLAIN_DELTA
        return (terms @ coefficients).astype(np.float32), float(plain.mean())
    return np.broadcast_to(np.median(border_lab, axis=0), lab.shape).astype(np.float32), float(plain.mean())


def border_mask(height: int, width: int) -> Bool[np.ndarray, "h w"]:
    thickness = max(1, round(0.02 * min(height, width)))
    mask = np.ones((height, width), dtype=bool)
    mask[thickness:-thickness, thickness:-thickness] = False
    return mask


def object_mask(rgb: UInt8[np.ndarray, "h w 3"], delta: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """GrabCut at a bounded size, then at the picture's size again."""
    height, width = delta.shape
    small = shrink(rgb, GRABCUT_SIDE)
    small_delta = cv2.resize(delta, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    labels = first_guess(small_delta)
    if (labels == cv2.GC_PR_FGD).any() and np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        everything = (0, 0, *small.shape[1::-1])  # not looked at: the labels say where to begin
        cv2.setRNGSeed(0)
        cv2.grabCut(small, labels, everything, background, foreground, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = fill_false_holes((labels & 1).astype(bool), small_delta)
    smooth = cv2.resize(inside.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return smooth > 0.5


def first_guess(delta: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Certain background is what has its colour and reaches the border; what is far from it is certainly object."""
    like_background = (delta < 0.6 * PLAIN_DELTA).astype(np.uint8)
    _, parts = cv2.connectedComponents(like_background, connectivity=4)
    reaching = np.unique(parts[border_mask(*delta.shape)])
    outside = np.isin(parts, reaching[reaching > 0])
    outside_core = cv2.erode(outside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    core = cv2.erode((delta > 3 * PLAIN_DELTA).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    labels = np.full(delta.shape, cv2.GC_PR_FGD, dtype=np.uint8)
    labels[outside] = cv2.GC_PR_BGD
    labels[outside_core] = cv2.GC_BGD
    labels[core & ~outside] = cv2.GC_FGD
    return labels


def fill_false_holes(inside: Bool[np.ndarray, "h w"], delta: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """An enclosed region is a hole only where it shows the very background; a white belly has shading."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((~inside).astype(np.uint8), connectivity=4)
    reaching = set(np.unique(parts[border_mask(*inside.shape)]))
    filled = inside.copy()
    for part in range(1, count):
        if part in reaching:
            continue
        is_speck = stats[part, cv2.CC_STAT_AREA] < HOLE_SHARE * inside.size
        if is_speck or np.median(delta[parts == part]) > HOLE_DELTA:
            filled[parts == part] = True
    return filled


def looks_like_a_scene(inside: Bool[np.ndarray, "h w"]) -> bool:
    """A second thing at the border, or much of two sides covered: a photograph between black bars, say."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    sides = (parts[0], parts[-1], parts[:, 0], parts[:, -1])
    at_border = set(np.concatenate([np.unique(side) for side in sides]).tolist()) - {0, 1 + int(areas.argmax())}
    second = any(bool(areas[part - 1] > SCENE_SHARE * areas.max()) for part in at_border)
    return second or sum(bool((side > 0).mean() > 0.25) for side in sides) > 1


def outline_alpha(
    rgb: Float[np.ndarray, "h w 3"], backdrop: Float[np.ndarray, "h w 3"], inside: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Near the outline, I = alpha F + (1 - alpha) B solved for alpha; B is known, F is the object next to it."""
    reach = max(2, round(max(inside.shape) / 200))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core = cv2.erode(inside.astype(np.uint8), kernel)
    band = cv2.dilate(inside.astype(np.uint8), kernel).astype(bool) & ~core.astype(bool)
    size = (6 * reach + 1, 6 * reach + 1)
    weight = cv2.GaussianBlur(core.astype(np.float32), size, 0)
    nearby = cv2.GaussianBlur(rgb * core[..., None], size, 0) / np.maximum(weight, 1e-4)[..., None]
    contrast = nearby - backdrop
    squared = (contrast**2).sum(axis=-1)
    along = ((rgb - backdrop) * contrast).sum(axis=-1) / np.maximum(squared, 1e-6)
    solvable = band & (weight > 1e-3) & (squared > 0.03)  # no contrast, no equation: the mask decides
    hard = cv2.GaussianBlur(inside.astype(np.float32), (3, 3), 0)
    # A pattern near the outline is no outline: the deeper inside, the less may be transparent, and the reverse.
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    height = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    solved = along.clip((depth - 1) / reach, 1 - (height - 1) / reach).clip(0, 1)
    return np.where(solvable, solved, np.where(band, hard, inside)).astype(np.float32)


def with_rembg(path: str | Path, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 4"]:
    """rembg is an optional extra; its network is downloaded by rembg itself the first time."""
    if importlib.util.find_spec("rembg") is None:
        need = 'data.background_removal=rembg needs rembg, which is not installed; pip install "rembg[cpu]"'
        raise UserError(f"{path}: {need}")
    home = Path(os.environ.get("U2NET_HOME", Path.home() / ".u2net"))
    if not (home / f"{REMBG_MODEL}.onnx").exists():
        threestudio.warn(f"rembg downloads {REMBG_MODEL}.onnx (176 MB) from {REMBG_URL} to {home}, once")
    import rembg

    try:
        session = rembg.new_session(REMBG_MODEL)
    except OSError as error:  # so are the errors of its download
        raise UserError(f"{path}: rembg got no {REMBG_MODEL}.onnx ({error}); put it into {home}") from error
    rgba = np.asarray(rembg.remove(rgb, session=session))
    if not (rgba[..., 3] > 127).any():
        raise UserError(f"{path}: rembg found no object; cut it out and save it as a PNG with transparency")
    return rgba
