"""Prompts on one slice: clicks, a box, strokes, an earlier mask. numpy only, so that the Slicer process can import it.

Points are continuous (row, col) indices with pixel centers on whole numbers. Boxes are half-open pixel ranges, as in
`mask[r0:r1, c0:c1]`; their edges lie half a pixel before the center of the pixel with the same number.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from mednextseg.refine.strokes import Stroke


@dataclass(frozen=True, eq=False)
class Prompts:
    """Everything the user has said about one slice.

    Args:
        points_rc: (N, 2) continuous (row, col).
        labels: (N,) 1 where the object is, 0 where it is not.
        box: r0, c0, r1, c1, half-open; corners in any order, they are sorted here. None for no box.
        mask: (H, W) probability in [0, 1] of an earlier result, a neighboring slice or an automatic one; None for none.
        strokes: scribbles and lassos, in the order they were drawn.
    Raises:
        ValueError: for coordinates that are not finite, a count of labels other than that of points, other labels than 0 and
            1, an empty box, or a mask outside [0, 1].
    """

    points_rc: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    box: np.ndarray | None = None
    mask: np.ndarray | None = None
    strokes: tuple[Stroke, ...] = ()

    def __post_init__(self) -> None:
        points = np.array([] if self.points_rc is None else self.points_rc, dtype=np.float64).reshape(-1, 2)
        labels = np.array([] if self.labels is None else self.labels).reshape(-1).astype(np.int64)
        if len(points) != len(labels):
            raise ValueError(f"each point needs a label, got {len(points)} points and {len(labels)} labels.")
        if not np.isfinite(points).all() or not np.isin(labels, (0, 1)).all():
            raise ValueError("points must be finite and labels 1 (object) or 0 (background); check the prompts.")
        object.__setattr__(self, "points_rc", _read_only(points))
        object.__setattr__(self, "labels", _read_only(labels))
        object.__setattr__(self, "strokes", tuple(self.strokes))
        if self.box is not None:
            object.__setattr__(self, "box", _read_only(sorted_box(self.box)))
        if self.mask is not None:
            mask = np.array(self.mask, dtype=np.float32)
            if mask.ndim != 2 or not np.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
                raise ValueError("a mask prompt is a 2D array of probabilities in [0, 1]; convert logits with a sigmoid first.")
            object.__setattr__(self, "mask", _read_only(mask))

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was given."""
        return len(self.points_rc) == 0 and self.box is None and self.mask is None and not self.strokes

    @property
    def scribbles(self) -> tuple[Stroke, ...]:
        """The strokes that are no lassos."""
        return tuple(stroke for stroke in self.strokes if not stroke.is_lasso)

    def with_point(self, point_rc: np.ndarray, positive: bool) -> "Prompts":
        """These prompts and one more click."""
        points = np.vstack([self.points_rc, np.asarray(point_rc, float).reshape(1, 2)])
        return replace(self, points_rc=points, labels=np.append(self.labels, int(positive)))

    def without_point(self, index: int) -> "Prompts":
        """These prompts without the click number `index`."""
        if not 0 <= index < len(self.points_rc):
            raise ValueError(f"there is no point {index} to remove; the slice has {len(self.points_rc)} points.")
        return replace(self, points_rc=np.delete(self.points_rc, index, axis=0), labels=np.delete(self.labels, index))

    def with_box(self, box: np.ndarray | None) -> "Prompts":
        """These prompts with another box, or none."""
        return replace(self, box=box)

    def with_stroke(self, stroke: Stroke) -> "Prompts":
        """These prompts and one more stroke."""
        return replace(self, strokes=(*self.strokes, stroke))

    def without_stroke(self, index: int) -> "Prompts":
        """These prompts without the stroke number `index`."""
        if not 0 <= index < len(self.strokes):
            raise ValueError(f"there is no stroke {index} to remove; the slice has {len(self.strokes)} strokes.")
        return replace(self, strokes=self.strokes[:index] + self.strokes[index + 1 :])

    def nearest(self, point_rc: np.ndarray) -> tuple[str, int]:
        """The prompt nearest to a point: "point" or "stroke" with its index, or "box" with 0, where its outline is nearer.

        Raises:
            ValueError: where there is none of them.
        """
        point = np.asarray(point_rc, float)
        distances = [(distance, "point", n) for n, distance in enumerate(np.linalg.norm(self.points_rc - point, axis=1))]
        distances += [(stroke.distance_px(point), "stroke", n) for n, stroke in enumerate(self.strokes)]
        if self.box is not None:
            low, high = self.box[:2] - 0.5, self.box[2:] - 0.5  # from edge to center numbering
            outside = np.linalg.norm(point - np.clip(point, low, high))
            to_outline = outside if outside > 0 else np.minimum(point - low, high - point).min()
            distances.append((to_outline, "box", 0))
        if not distances:
            raise ValueError("there is no prompt on this slice to remove.")
        _distance, kind, index = min(distances, key=lambda item: item[0])
        return kind, index

    def with_mask(self, mask: np.ndarray | None) -> "Prompts":
        """These prompts with another mask, or none."""
        return replace(self, mask=mask)


def sorted_box(box: np.ndarray) -> np.ndarray:
    """r0, c0, r1, c1 with r0 < r1 and c0 < c1, whichever two opposite corners were given.

    Raises:
        ValueError: where there are not four finite numbers or the box has no area.
    """
    edges = np.array(box, dtype=np.float64).reshape(-1)
    if edges.shape != (4,) or not np.isfinite(edges).all():
        raise ValueError(f"a box is four finite numbers r0, c0, r1, c1, got {np.asarray(box).tolist()}.")
    r0, c0, r1, c1 = edges
    result = np.array([min(r0, r1), min(c0, c1), max(r0, r1), max(c0, c1)])
    if result[0] == result[2] or result[1] == result[3]:
        raise ValueError(f"the box {result.tolist()} has no area; draw it again.")
    return result


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
