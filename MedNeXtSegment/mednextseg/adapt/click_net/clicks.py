"""Simulated users: clicks on errors, boxes drawn by hand, and masks that are wrong in the way automatic results are.

The robot user is that of the interactive segmentation literature (RITM, arXiv 2102.06583), with errors competing by area:
click 1 lies where the largest component of the object is thickest, each further click where the largest error is.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.synthetic import warp

_EIGHT_CONNECTED = np.ones((3, 3), bool)
# Of a stroke: lines tried, how much of one lies in the object, and where it may end (share of the largest thickness).
_LINES, _SHARE_INSIDE, _THICK_ENOUGH = 8, 0.9, 0.25
# A stroke's control point lies at most half its length to the side; points that make the curve.
_MOST_BENT, _LINE_POINTS = 0.5, 40
# Of a displaced mask: the logarithm of its size, and how far it lies beside the object, in the root of the object's area.
_LARGEST_ZOOM, _FARTHEST_MOVE = 0.35, 0.4


@dataclass(frozen=True)
class SimulatedUser:
    """How clicks are placed.

    Attributes:
        generator: None clicks the thickest point; otherwise uniformly where the thickness exceeds half its maximum.
        jitter_px: radius of a further uniform displacement of each click, within the image.
    """

    generator: np.random.Generator | None = None
    jitter_px: float = 0.0

    def first_click(self, truth_rc: np.ndarray) -> tuple[int, int]:
        """(row, col) in the largest component of the object."""
        return self._inside(_largest_component(truth_rc)[0])

    def correction(self, mask_rc: np.ndarray, truth_rc: np.ndarray) -> tuple[int, int, int] | None:
        """The next click on the largest connected error.

        Args:
            mask_rc, truth_rc: (H, W) bool.
        Returns:
            (row, col, label), label 1 where object is missing and 0 where there is too much; None where nothing is wrong.
        """
        missing, missing_px = _largest_component(truth_rc & ~mask_rc)
        surplus, surplus_px = _largest_component(mask_rc & ~truth_rc)
        if missing_px == surplus_px == 0:
            return None
        row, col = self._inside(missing if missing_px >= surplus_px else surplus)
        return row, col, int(missing_px >= surplus_px)

    def _inside(self, region_rc: np.ndarray) -> tuple[int, int]:
        (rows, cols), *_ = ndimage.find_objects(region_rc.astype(np.uint8))
        thickness = ndimage.distance_transform_edt(np.pad(region_rc[rows, cols], 1))[1:-1, 1:-1]
        if self.generator is None:
            row, col = np.unravel_index(thickness.argmax(), thickness.shape)
        else:
            candidates = np.argwhere(thickness > thickness.max() / 2)
            row, col = candidates[self.generator.integers(len(candidates))]
        row, col = int(row) + rows.start, int(col) + cols.start
        if self.jitter_px > 0:
            angle, radius = self.generator.uniform(0, 2 * np.pi), self.jitter_px * np.sqrt(self.generator.random())
            row = int(np.clip(round(row + radius * np.sin(angle)), 0, region_rc.shape[0] - 1))
            col = int(np.clip(round(col + radius * np.cos(angle)), 0, region_rc.shape[1] - 1))
        return row, col


def _largest_component(mask_rc: np.ndarray) -> tuple[np.ndarray, int]:
    """The largest 8-connected component and its area; the empty mask and 0 where there is none."""
    numbers, count = ndimage.label(mask_rc, _EIGHT_CONNECTED)
    if count == 0:
        return mask_rc, 0
    areas = np.bincount(numbers.ravel())
    areas[0] = 0
    largest = int(areas.argmax())
    return numbers == largest, int(areas[largest])


def bounding_box(mask_rc: np.ndarray) -> tuple[float, float, float, float]:
    """r0, c0, r1, c1 (half-open pixel indices) of everything set in a mask."""
    (rows, cols), *_ = ndimage.find_objects(mask_rc.astype(np.uint8))
    return float(rows.start), float(cols.start), float(rows.stop), float(cols.stop)


def drawn_box(mask_rc: np.ndarray, jitter_share: float, generator: np.random.Generator) -> tuple[float, float, float, float]:
    """The bounding box with each side displaced by N(0, jitter_share) of the box's length along that axis."""
    r0, c0, r1, c1 = bounding_box(mask_rc)
    offsets = generator.normal(0.0, jitter_share, 4) * (r1 - r0, c1 - c0, r1 - r0, c1 - c0)
    r0, c0, r1, c1 = np.array((r0, c0, r1, c1)) + offsets
    (r0, r1), (c0, c1) = sorted((r0, r1)), sorted((c0, c1))
    return float(r0), float(c0), float(max(r1, r0 + 2)), float(max(c1, c0 + 2))


def stroke_through(truth_rc: np.ndarray, step_px: float, generator: np.random.Generator) -> list[tuple[int, int]]:
    """A quick bent line across the largest component, as the (row, col) of points at most `step_px` apart, its ends among them.

    Of some random lines the longest one that hardly leaves the object.
    """
    region, _area = _largest_component(truth_rc)
    thickness = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    places = np.argwhere(thickness > thickness.max() * _THICK_ENOUGH)
    best = np.repeat(places[generator.integers(len(places))][None], 2, axis=0).astype(float)
    for _attempt in range(_LINES):
        line = _bent_line(*places[generator.integers(len(places), size=2)], generator)
        pixels = line.round().astype(int).clip(0, np.array(region.shape) - 1)
        if region[tuple(pixels.T)].mean() >= _SHARE_INSIDE and np.ptp(line, axis=0).max() > np.ptp(best, axis=0).max():
            best = line
    along_px = np.r_[0.0, np.linalg.norm(np.diff(best, axis=0), axis=1).cumsum()]
    stops_px = np.linspace(0.0, along_px[-1], int(np.ceil(along_px[-1] / step_px)) + 1)
    points = np.stack([np.interp(stops_px, along_px, best[:, axis]) for axis in (0, 1)], axis=1)
    inside = points.round().astype(int).clip(0, np.array(region.shape) - 1)
    return [(int(row), int(col)) for row, col in inside]


def _bent_line(start_rc: np.ndarray, end_rc: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(N, 2) points of a quadratic Bezier curve, whose middle lies at most a quarter of its length to the side."""
    sideways = (end_rc - start_rc)[::-1] * (1, -1)
    bend = _MOST_BENT * generator.uniform(-1, 1) ** 3  # mostly slight, since a thin object has room for little else
    control = (start_rc + end_rc) / 2 + bend * sideways
    along = np.linspace(0.0, 1.0, _LINE_POINTS)[:, None]
    return (1 - along) ** 2 * start_rc + 2 * along * (1 - along) * control + along**2 * end_rc


def degraded_mask(truth_rc: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The object as a mediocre automatic method would give it: warped, too thick or thin, cut, or with something added.

    Returns:
        (H, W) float32 probability in [0, 1].
    """
    mask = truth_rc
    side = max(4.0, float(np.sqrt(truth_rc.sum())))
    if generator.random() < 0.7:
        mask = warp(mask.astype(np.uint8), generator, side * generator.uniform(0.02, 0.2)) > 0
    if generator.random() < 0.5:
        steps = int(generator.integers(1, max(2, int(side * 0.12)) + 1))
        change = ndimage.binary_erosion if generator.random() < 0.5 else ndimage.binary_dilation
        changed = change(mask, iterations=steps)
        mask = changed if changed.any() else mask
    if generator.random() < 0.4:
        cut = mask & ~_random_blob(mask, side, generator)
        mask = cut if cut.any() else mask
    if generator.random() < 0.4:
        grown = ndimage.binary_dilation(mask, iterations=max(1, int(side * 0.15)))
        mask = mask | _random_blob(grown, side, generator)
    if generator.random() < 0.5:
        soft = ndimage.gaussian_filter(mask.astype(np.float32), generator.uniform(0.5, 1.0 + 0.06 * side))
        return np.clip(soft, 0.0, 1.0)
    return mask.astype(np.float32)


def displaced_mask(truth_rc: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A mask that is mostly wrong, as on a slice far from the one that was drawn: moved, larger or smaller, and degraded.

    Returns:
        As `degraded_mask`.
    """
    side = max(4.0, float(np.sqrt(truth_rc.sum())))
    zoom = np.exp(generator.uniform(-_LARGEST_ZOOM, _LARGEST_ZOOM))
    center_rc = np.argwhere(truth_rc).mean(axis=0)
    moved_rc = center_rc + side * generator.uniform(-_FARTHEST_MOVE, _FARTHEST_MOVE, 2)
    moved = ndimage.affine_transform(truth_rc.astype(np.uint8), [1 / zoom, 1 / zoom], center_rc - moved_rc / zoom, order=0) > 0
    return degraded_mask(moved if moved.any() else truth_rc, generator)


def _random_blob(around_rc: np.ndarray, side_px: float, generator: np.random.Generator) -> np.ndarray:
    """An ellipse centered somewhere on a mask, with axes of 15 to 50 % of the object's side."""
    places = np.argwhere(around_rc)
    if not len(places):
        return np.zeros_like(around_rc)
    row, col = places[generator.integers(len(places))]
    radii = side_px * generator.uniform(0.15, 0.5, 2) + 1.0
    rows, cols = np.ogrid[: around_rc.shape[0], : around_rc.shape[1]]
    return ((rows - row) / radii[0]) ** 2 + ((cols - col) / radii[1]) ** 2 <= 1.0
