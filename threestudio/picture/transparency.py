"""What the alpha of a picture says: that it is a cut-out, or nothing; and the two ways in which alpha is stored."""

import numpy as np
from jaxtyping import UInt8

NEARLY_ALL = 0.95  # opaque share of a picture, from which on alpha cuts nothing out
MOST_OF_THE_BORDER = 0.9  # likewise, of a picture with rounded corners, say
ALMOST_ALL = 0.88
RIM_PIXELS = 24  # soft pixels that tell how alpha is stored


def is_cut_out(alpha: UInt8[np.ndarray, "h w"]) -> bool:
    """Whether alpha separates an object from the rest: not the same everywhere, not opaque nearly everywhere.

    Rounded corners, a frame's soft edge or one clear pixel leave nearly all of the picture, and of its border, opaque.
    """
    if int(alpha.max()) - int(alpha.min()) < 16:
        return False
    opaque = alpha > 127
    sides = np.concatenate([opaque[0], opaque[-1], opaque[:, 0], opaque[:, -1]])
    share = opaque.mean()
    return not (share > NEARLY_ALL or (share > ALMOST_ALL and sides.mean() > MOST_OF_THE_BORDER))


def is_premultiplied(rgba: UInt8[np.ndarray, "h w 4"]) -> bool:
    """Whether the colours are multiplied by alpha already, as PNG forbids and some programs do.

    Then no channel is above alpha anywhere; in a straight picture the soft rim of anything bright is.
    """
    alpha, brightest = rgba[..., 3].astype(np.int16), rgba[..., :3].max(axis=-1).astype(np.int16)
    soft = (alpha > 0) & (alpha < 255)
    opaque = alpha == 255
    if not soft.any() or not opaque.any() or (brightest > alpha + 1).any():
        return False
    telling = soft & (alpha < np.median(brightest[opaque]))
    return int(telling.sum()) >= RIM_PIXELS
