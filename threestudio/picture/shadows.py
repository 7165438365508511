"""Shadows that pass for a part of the object: the soft one below it on a plain background, and a cut-out's drop shadow.

Left in, either becomes a plinth. A cast shadow keeps the background's hue and has soft edges where it meets the
background; of an object that is itself grey it cannot be told, and is left and named.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

SAME_HUE = 6.0  # CIE Lab, of a and b, between a shadow and the background that it falls on
LIGHTNESS = (0.2, 0.97)  # of a shadow, as a share of the background's
SOFTEST_EDGE = 5.0  # CIE Lab a pixel at 256 pixels a side: an object's outline is harder
GREY_OBJECT = 0.35  # of an object without its shadow: more of it that looks like shadow, and nothing can be told
SMALLEST, LARGEST = 0.01, 0.6  # of the object's pixels
TRANSLUCENT = 0.9  # alpha of what is no solid object
BLACK = 0.2  # the brightest that a drop shadow is


def cast_shadow(
    lab: Float[np.ndarray, "h w 3"], surface: Float[np.ndarray, "h w 3"], inside: Bool[np.ndarray, "h w"]
) -> tuple[Bool[np.ndarray, "h w"], bool]:
    """The pixels of the object that are shadow, and whether they can be told from the object."""
    like = inside & looks_like_shadow(lab, surface)
    outside = cv2.dilate((~inside).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(like.astype(np.uint8), connectivity=4)
    reaching = [part for part in np.unique(parts[outside & like]) if part > 0]
    shadow = np.isin(parts, [part for part in reaching if stats[part, cv2.CC_STAT_AREA] >= SMALLEST * inside.sum()])
    shadow = cv2.dilate(shadow.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & inside
    rest = inside & ~shadow
    told = shadow.sum() < LARGEST * inside.sum() and like[rest].sum() < GREY_OBJECT * max(rest.sum(), 1)
    return shadow, bool(told)


def looks_like_shadow(lab: Float[np.ndarray, "h w 3"], surface: Float[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Of the background's hue, darker than it, and without an edge."""
    hue = np.linalg.norm(lab[..., 1:] - surface[..., 1:], axis=-1)
    lightness = lab[..., 0] / np.maximum(surface[..., 0], 1.0)
    smooth = cv2.GaussianBlur(lab[..., 0], (0, 0), 0.7)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    softest = SOFTEST_EDGE * 256 / max(lab.shape[:2])
    return (hue < SAME_HUE) & (lightness > LIGHTNESS[0]) & (lightness < LIGHTNESS[1]) & (slope < softest)


def drop_shadow(rgba: Float[np.ndarray, "h w 4"]) -> Bool[np.ndarray, "h w"]:
    """Black or nearly so, translucent, and wider than the soft rim of what is solid."""
    alpha, brightest = rgba[..., 3], rgba[..., :3].max(axis=-1)
    dark = (alpha < TRANSLUCENT) & (alpha > 0) & (brightest < BLACK)
    rim = 2 * max(2, round(max(alpha.shape) / 100)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim))
    near_solid = cv2.dilate((alpha >= TRANSLUCENT).astype(np.uint8), kernel).astype(bool)
    if not near_solid.any() or (dark & ~near_solid & (alpha > 0.1)).sum() < SMALLEST * (alpha > 0.5).sum():
        return np.zeros_like(dark)
    return dark & cv2.dilate((dark & ~near_solid).astype(np.uint8), kernel).astype(bool)
