"""A border moved to nearby edges of the image: the perimeter idea of SILOP, on superpixels of a slice."""

import numpy as np
from scipy import ndimage

REACH_MM = 3.0  # the border moves no farther
_CELL_MM = 6.0  # between the seeds of superpixels: twice the reach, so that most of one lies on the right side
_CONTRAST = 0.2  # of the displayed range: as far apart as a cell is wide
_SIGMA_PX = 0.7
_ROUNDS = 5
_LEAST_OVERLAP = 0.7  # Dice with what was there; less means an object thinner than superpixels


def snapped_to_edges(image_rc: np.ndarray, probability_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """A probability whose border runs along edges of the image, where it has some within REACH_MM and the probability agrees.

    Each superpixel belongs as a whole to the object where the mean of the
    probability in it is above 0.5. Pixels farther than REACH_MM from the border stay as they are.

    Args:
        image_rc: (H, W) float32 in [0, 1].
        probability_rc: (H, W) float32 in [0, 1].
        spacing_rc_mm: distance of pixel centers.
    Returns:
        (H, W) float32 in [0, 1]; the same array where the mask is empty, full, or too thin for superpixels.
    """
    mask = probability_rc > 0.5
    if not mask.any() or mask.all():
        return probability_rc
    inside, outside = (ndimage.distance_transform_edt(part, sampling=spacing_rc_mm) for part in (mask, ~mask))
    near = (inside + outside) <= REACH_MM
    numbers = superpixels(image_rc, spacing_rc_mm)
    count = int(numbers.max()) + 1
    areas = np.bincount(numbers.ravel(), minlength=count)
    means = np.bincount(numbers.ravel(), probability_rc.ravel(), minlength=count) / np.maximum(areas, 1)
    wanted = (means > 0.5)[numbers]
    changed = near & (wanted != mask)
    after = mask ^ changed
    if 2.0 * int((mask & after).sum()) / (int(mask.sum()) + int(after.sum())) < _LEAST_OVERLAP:
        return probability_rc
    return np.where(changed, np.where(wanted, 1.0, 0.0), probability_rc).astype(np.float32)


def superpixels(image_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """(H, W) int numbers of superpixels: SLIC (Achanta et al., TPAMI 2012), means by place and intensity around a grid of seeds."""
    image = ndimage.gaussian_filter(np.asarray(image_rc, np.float32), _SIGMA_PX)
    places = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(image.shape, spacing_rc_mm, strict=True)), indexing="ij"))
    grid = [max(1, round(n * s / _CELL_MM)) for n, s in zip(image.shape, spacing_rc_mm, strict=True)]
    cells = [np.arange(n) * g // n for n, g in zip(image.shape, grid, strict=True)]
    numbers = cells[0][:, None] * grid[1] + cells[1]
    values = np.concatenate([places / _CELL_MM, image[None] / _CONTRAST]).reshape(3, -1)
    for _round in range(_ROUNDS):
        areas = np.maximum(np.bincount(numbers.ravel(), minlength=grid[0] * grid[1]), 1)
        centers = np.stack([np.bincount(numbers.ravel(), value, minlength=len(areas)) / areas for value in values])
        best = np.full(image.size, np.inf)
        for down, across in np.ndindex(3, 3):
            rows, cols = (np.clip(cell + step - 1, 0, g - 1) for cell, step, g in zip(cells, (down, across), grid, strict=True))
            candidate = (rows[:, None] * grid[1] + cols).ravel()
            distance = ((values - centers[:, candidate]) ** 2).sum(axis=0)
            closer = distance < best
            best[closer] = distance[closer]
            numbers = np.where(closer.reshape(image.shape), candidate.reshape(image.shape), numbers)
    return numbers
