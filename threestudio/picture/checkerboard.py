"""The checkerboard that programs paint to mean "transparent", where it was saved as part of an opaque picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

BORDER = 2  # pixels that are looked at along each side
MOST_CHROMA = 8.0  # CIE Lab; boards are grey and white
LEAST_CONTRAST = 4.0  # of lightness between the two greys
LIKE_A_SQUARE = 8.0  # CIE Lab between a pixel and its square's grey; JPEG's noise stays below
EXPLAINED = 0.8  # of the border; the object may touch the rest


@dataclass(frozen=True)
class Axis:
    """Squares of `side` pixels, the first border between two of them `first` pixels from the edge."""

    side: float
    first: float

    def squares(self, length: int) -> Int[np.ndarray, "pixel"]:
        """The number of each pixel's square along this axis."""
        return np.floor((np.arange(length) + 0.5 - self.first) / self.side).astype(np.int64)


def checkerboard(lab: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"] | None:
    """The board's colour at every pixel, in CIE Lab, or None where the picture's border is no board."""
    greys = two_greys(border_of(lab))
    if greys is None:
        return None
    lighter = np.abs(lab[..., 0] - greys[1, 0]) < np.abs(lab[..., 0] - greys[0, 0])
    across = axis_of([lighter[row] for row in edge_rows(len(lab))])
    down = axis_of([lighter[:, column] for column in edge_rows(lab.shape[1])])
    if across is None or down is None or not 0.8 < across.side / down.side < 1.25:
        return None
    squares = down.squares(len(lab))[:, None] + across.squares(lab.shape[1])
    boards = [greys[(squares + parity) % 2] for parity in (0, 1)]
    board = min(boards, key=lambda one: float(np.median(distance(border_of(lab), border_of(one)))))
    like = distance(border_of(lab), border_of(board)) < LIKE_A_SQUARE
    return with_soft_edges(board.astype(np.float32), lab) if like.mean() > EXPLAINED else None


def with_soft_edges(board: Float[np.ndarray, "h w 3"], lab: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Next to another square any grey between the two belongs to the board: a resized board's edges are soft."""
    light = np.ascontiguousarray(board[..., 0])
    lowest, highest = (filtered(light, np.ones((3, 3), np.uint8)) for filtered in (cv2.erode, cv2.dilate))
    board[..., 0] = np.where(lowest < highest, lab[..., 0].clip(lowest, highest), light)
    return board


def border_of(image: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "pixel 3"]:
    sides = (image[:BORDER], image[-BORDER:], image[:, :BORDER], image[:, -BORDER:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def edge_rows(length: int) -> tuple[int, ...]:
    return tuple(sorted({0, min(1, length - 1), max(length - 2, 0), length - 1}))


def two_greys(border: Float[np.ndarray, "pixel 3"]) -> Float[np.ndarray, "2 3"] | None:
    """The darker and the lighter grey of the border, split half way between its lightest and darkest neutral pixels."""
    neutral = border[np.linalg.norm(border[:, 1:], axis=1) < MOST_CHROMA]
    if len(neutral) < EXPLAINED * len(border):
        return None
    low, high = np.percentile(neutral[:, 0], (5, 95))
    light = neutral[:, 0] > 0.5 * (low + high)
    if high - low < LEAST_CONTRAST or not 0.2 < light.mean() < 0.8:
        return None
    return np.stack([np.median(neutral[~light], axis=0), np.median(neutral[light], axis=0)])


def axis_of(lines: list[np.ndarray]) -> Axis | None:
    """Side and place of the squares, from the line of pixels that alternates most evenly."""
    found = [axis for axis in map(axis_of_line, lines) if axis is not None]
    return max(found, key=lambda pair: pair[1])[0] if found else None


def axis_of_line(lighter: np.ndarray) -> tuple[Axis, float] | None:
    """With the share of the line that its squares explain."""
    changes = np.flatnonzero(np.diff(lighter)) + 1
    if len(changes) < 2:
        return None
    side = float(np.median(np.diff(changes)))
    numbers = np.cumsum([0, *np.round(np.diff(changes) / side)])
    if numbers[-1] > 0:  # a board that was enlarged has squares of a broken number of pixels
        side = float(np.polyfit(numbers, changes, 1)[0])
    axis = Axis(side, float(np.median(changes - numbers * side)))
    odd = axis.squares(len(lighter)) % 2 == 1
    return axis, float(max((odd == lighter).mean(), (odd != lighter).mean()))


def distance(one: Float[np.ndarray, "pixel 3"], other: Float[np.ndarray, "pixel 3"]) -> Float[np.ndarray, "pixel"]:
    return np.linalg.norm(one - other, axis=-1)
