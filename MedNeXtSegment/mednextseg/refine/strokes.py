"""Lines drawn on a slice: scribbles along an object, and lassos around it. numpy only: Slicer's process imports it too."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOST_POINTS = 4096  # of one stroke; nobody draws more by hand


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line that the user drew.

    A scribble lies on the object, or beside it where it is not positive. A lasso is closed: what it encloses belongs to the object,
    roughly; where it is not positive, nothing of it does, exactly.

    Attributes:
        points_rc: (N, 2) continuous (row, col), pixel centers on whole numbers, in the order they were drawn.
        is_positive: whether it says where the object is.
        is_lasso: whether it is closed.
    Raises:
        ValueError: for points that are not finite, none at all, too many, or a lasso of fewer than three.
    """

    points_rc: np.ndarray
    is_positive: bool = True
    is_lasso: bool = False

    def __post_init__(self) -> None:
        points = np.array(self.points_rc, dtype=np.float64).reshape(-1, 2)
        check_stroke(points, self.is_lasso)
        points.setflags(write=False)
        object.__setattr__(self, "points_rc", points)
        object.__setattr__(self, "is_positive", bool(self.is_positive))
        object.__setattr__(self, "is_lasso", bool(self.is_lasso))

    @property
    def length_px(self) -> float:
        """Of the line."""
        return float(self._path[1][-1])

    @cached_property
    def _path(self) -> tuple[np.ndarray, np.ndarray]:
        """(M, 2) corners of the line, the first again at the end of a lasso, and (M,) how far along it each lies."""
        points = np.vstack([self.points_rc, self.points_rc[:1]]) if self.is_lasso else self.points_rc
        return points, np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))

    def sampled_rc(self, step_px: float) -> np.ndarray:
        """(M, 2) points along the line, at most `step_px` apart, its first and last point among them."""
        points, along = self._path
        places = np.linspace(0.0, along[-1], int(np.ceil(along[-1] / step_px - 1e-9)) + 1)
        return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1)

    def pixels(self, shape_rc: tuple[int, int]) -> np.ndarray:
        """(H, W) bool: the pixels that a scribble runs over, or those that a lasso encloses."""
        if self.is_lasso:
            return enclosed(self.points_rc, shape_rc)
        drawn = np.zeros(shape_rc, bool)
        pixels = np.floor(np.concatenate([self.sampled_rc(0.5), self.points_rc]) + 0.5).astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < shape_rc)).all(axis=1)]
        drawn[pixels[:, 0], pixels[:, 1]] = True
        return drawn

    def distance_px(self, point_rc: np.ndarray) -> float:
        """How far a point is from the line."""
        return float(np.linalg.norm(self.sampled_rc(1.0) - np.asarray(point_rc, float), axis=1).min())


def check_stroke(points: np.ndarray, is_lasso: bool) -> None:
    """Raise ValueError where (N, ...) points are no scribble or lasso."""
    least = 3 if is_lasso else 1
    if not least <= len(points) <= MOST_POINTS or not np.isfinite(points).all():
        kind = "lasso" if is_lasso else "scribble"
        raise ValueError(f"a {kind} needs {least} to {MOST_POINTS} finite points, got {len(points)}; draw it again.")


def enclosed(points_rc: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels whose centers lie inside a polygon of (N, 2) corners, by the even-odd rule."""
    rows = np.arange(shape_rc[0])[:, None]
    (r0, c0), (r1, c1) = points_rc.T, np.roll(points_rc, -1, axis=0).T
    # A row of centers crosses the edges from one side of it (or on it) to the other; half-open, so that a corner counts once.
    crosses = (r0 <= rows) != (r1 <= rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(crosses, c0 + (rows - r0) * (c1 - c0) / (r1 - r0), np.inf)
    inside = np.zeros(shape_rc, bool)
    cols = np.arange(shape_rc[1])
    for row in np.flatnonzero(crosses.any(axis=1)):
        inside[row] = np.searchsorted(np.sort(at[row]), cols, side="right") % 2 == 1
    return inside


def mask_after_lassos(mask_rc: np.ndarray | None, strokes: tuple[Stroke, ...], shape_rc: tuple[int, int]) -> np.ndarray | None:
    """A mask prompt with what lassos add to it and take from it, in their order; unchanged where there is none.

    Args:
        mask_rc: (H, W) probability, or None.
        strokes: scribbles among them are passed over.
        shape_rc: of the slice.
    """
    for stroke in strokes:
        if stroke.is_lasso and (stroke.is_positive or mask_rc is not None):
            mask_rc = np.zeros(shape_rc, np.float32) if mask_rc is None else np.array(mask_rc, np.float32)
            mask_rc[stroke.pixels(shape_rc)] = float(stroke.is_positive)
    return mask_rc
