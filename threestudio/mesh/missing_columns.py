"""Columns of a picture's rays in which a field has left nothing, though the picture shows something there.

What is thin, a tail, a stalk, a leg, is the first that a field of few pixels loses or puts at a wrong depth; the
picture knows its outline, and that it hangs together with what is beside it.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

RIM = 2  # cells at the outline that the fit will fill
OVERLAP = 2  # cells by which a filled part reaches into what is there
THINNEST = 1.2  # cells, half thickness
ROUND = 2.5  # cells, half thickness up to which a part is taken for a rod and not for a sheet
WHOLE = 0.9  # of a part's columns: then the field has it as a sheet, and not only fragments of it
CERTAIN = 1e6  # of a full column's depth, beside the evenness (1); of a column of fog the inverse
AROUND = np.ones((3, 3), dtype=bool)  # a cell and its eight neighbours


def with_missing_columns(
    inside: Float[np.ndarray, "row column layer"],
    mask: Bool[np.ndarray, "row column"],
    solid: Float[np.ndarray, "row column layer"],
    optical_depth: Float[np.ndarray, "row column layer"],
    smoothing: float,
) -> Float[np.ndarray, "row column layer"]:
    """Columns of the mask that are empty inside, filled at the depth of those beside them.

    They become as thick as the part is wide, or as a sheet that stood there in the field.
    """
    full = np.any(inside > 0, axis=2)
    missing = missing_columns(full, mask)
    if not missing.any():
        return inside
    reached = mask & ndimage.binary_dilation(missing, AROUND, iterations=OVERLAP)
    half = np.minimum(ndimage.distance_transform_edt(reached), sheet_thickness(solid, missing, reached))
    half = mean_within(np.maximum(half, THINNEST), reached, smoothing)
    middle = relaxed_depth(middles(np.maximum(inside, 0.0))[0], full, reached & ~full, optical_depth)
    middle = mean_within(middle, reached, smoothing)
    added = (half[..., None] - np.abs(np.arange(inside.shape[2]) - middle[..., None])) / 2.0
    return np.where(reached[..., None], np.maximum(inside, np.clip(added, -1.0, 1.0)), inside)


def sheet_thickness(
    solid: Float[np.ndarray, "row column layer"],
    missing: Bool[np.ndarray, "row column"],
    reached: Bool[np.ndarray, "row column"],
) -> Float[np.ndarray, "row column"]:
    """Half of the mean thickness of each filled part that the field has almost whole; infinite for the others."""
    parts, count = ndimage.label(reached, AROUND)
    own = 0.5 * np.count_nonzero(solid > 0, axis=2)
    columns = np.bincount(parts[missing], minlength=count + 1)
    whole = np.bincount(parts[missing & (own > 0)], minlength=count + 1) > WHOLE * columns
    mean = np.bincount(parts[missing], own[missing], count + 1) / np.maximum(columns, 1)
    return np.where(whole, np.maximum(mean, ROUND), np.inf)[parts]


def missing_columns(
    full: Bool[np.ndarray, "row column"], mask: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """Empty ones farther from the full ones than a fit would reach, those between, and holes that the mask has not."""
    far = mask & ~ndimage.binary_dilation(full, AROUND, iterations=RIM) | enclosed(mask & ~full, mask)
    return mask & ~full & ndimage.binary_dilation(far, AROUND, iterations=RIM)


def enclosed(
    empty: Bool[np.ndarray, "row column"], mask: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """Holes in the columns that are full which are none in the mask: no fit could close them."""
    holes, count = ndimage.label(empty)
    open_ones = np.unique(holes[ndimage.binary_dilation(~mask, AROUND)])
    closed = np.ones(count + 1, dtype=bool)
    closed[open_ones] = closed[0] = False
    return closed[holes]


def mean_within(
    values: Float[np.ndarray, "row column"], region: Bool[np.ndarray, "row column"], deviation: float
) -> Float[np.ndarray, "row column"]:
    """A Gaussian mean over the neighbours that belong to a region, in the region; the values elsewhere."""
    weight = ndimage.gaussian_filter(region.astype(np.float64), deviation)
    mean = ndimage.gaussian_filter(np.where(region, values, 0.0), deviation) / np.maximum(weight, 1e-9)
    return np.where(region, mean, values)


def relaxed_depth(
    known: Float[np.ndarray, "row column"],
    full: Bool[np.ndarray, "row column"],
    missing: Bool[np.ndarray, "row column"],
    optical_depth: Float[np.ndarray, "row column layer"],
) -> Float[np.ndarray, "row column"]:
    """The known middles of full columns, and of missing ones the middles that are as even as they can be.

    They have the least sum of squared differences of neighbours: a stalk between two cherries is straight, a tail
    stands upright. The field's fog is asked only where no full column is beside them: the more it was trusted, the
    farther meshes of known objects were from the truth (docs/results.md).
    """
    fog, total = middles(optical_depth)
    region = full | missing
    laplacian = sparse.csgraph.laplacian(neighbours(region))
    trust = np.where(full, CERTAIN, (1.0 - np.exp(-total) + 1.0 / CERTAIN) / CERTAIN)[region]
    usual = known[full].mean() if full.any() else np.average(fog, weights=total + 1.0 / CERTAIN)
    wanted = np.where(full, known, np.where(total > 0, fog, usual))[region]
    middle = known.copy()
    middle[region] = spsolve((laplacian + sparse.diags_array(trust)).tocsc(), trust * wanted)
    return middle


def neighbours(region: Bool[np.ndarray, "row column"]) -> sparse.csr_array:
    """Which cells of a region lie side by side, 1 for each pair in both orders; numbered row by row."""
    number = np.cumsum(region).reshape(region.shape) - 1
    pairs = [
        np.stack([first[both], second[both]])
        for first, second, both in (
            (number[:, :-1], number[:, 1:], region[:, :-1] & region[:, 1:]),
            (number[:-1], number[1:], region[:-1] & region[1:]),
        )
    ]
    one, other = np.concatenate(pairs, axis=1)
    links = sparse.coo_array((np.ones(len(one)), (one, other)), shape=(int(region.sum()),) * 2)
    return (links + links.T).tocsr()


def middles(
    matter: Float[np.ndarray, "row column layer"],
) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
    """The layer before which half of a column's matter lies, and how much there is in all."""
    so_far = np.cumsum(matter, axis=2)
    total = so_far[..., -1]
    return (so_far < 0.5 * total[..., None]).sum(axis=2).astype(np.float64), total
