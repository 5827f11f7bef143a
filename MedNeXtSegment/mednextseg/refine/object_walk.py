"""An object between slices that are known, and beyond them, by a random walk in three dimensions.

The known slices are the seeds. Three things hold the walk: edges of the image, how the object looks on the known slices, and the shape that
lies between them; beyond them it is taken to taper. Slice by slice a network follows anything (decision 78), and the wrong slices
that it makes cannot be told from right ones.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from mednextseg.refine.appearance import Appearance
from mednextseg.refine.prompter import Cancel, PromptCancelledError
from mednextseg.refine.random_walk import Edges, random_walk
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.slice_window import SliceWindow

Look = Callable[[SlicePlane], np.ndarray]

# All of these were chosen on objects that are not in the table of docs/developers/refine_evaluation.md.
_BETA, _EDGE_FLOOR = 6.0, 1e-3  # for intensities over their spread in the object and around it
_EDGE_SMOOTHING_PX, _LOOK_SMOOTHING_PX = 0.5, 0.5  # before edges and looks are judged
_APPEARANCE_WEIGHT, _SHAPE_WEIGHT = 0.05, 0.02
_PADDING, _REACH = 0.5, 1.0  # around a known slice and beyond it, in lengths of the object on a slice
_TAPER = 0.5  # mm that its border moves inwards with each mm beyond a known slice
_SOFTNESS = 0.15  # of that length: so near to the border of the shape that is expected its inside is not sure
# Still so large after such a share of the reach, it is taken to go on.
_LONG_AFTER, _LONG_AREA = 0.6, 0.7
_MOST_VOXELS = 60_000  # of a walk; more are joined


class ObjectWalk:
    """Slices of one object.

    Args:
        look: the (H, W) intensities on a plane.
        plane: of step 0; step n is the plane n slices along its normal.
        known: {step: (H, W) probability}, one of them not empty.
        cancel: asked before each walk.

    Attributes:
        length_mm: the longest side of the object on a known slice.
        reach: so many slices beyond a known one are walked at once.
    """

    def __init__(self, look: Look, plane: SlicePlane, known: dict[int, np.ndarray], cancel: Cancel | None = None) -> None:
        self._look, self._plane, self._known, self._cancel = look, plane, dict(known), cancel
        full = {step: mask > 0.5 for step, mask in known.items() if (mask > 0.5).any()}
        images = np.stack([look(self.plane_at(step)) for step in full])
        self._appearance = Appearance(images, np.stack(list(full.values())))
        self.length_mm = max(longest_side_mm(mask, plane.spacing_rc_mm) for mask in full.values())
        self.reach = max(int(np.ceil(_REACH * self.length_mm / plane.thickness_mm)), 2)

    def plane_at(self, step: int) -> SlicePlane:
        """Of a step."""
        return self._plane if step == 0 else self._plane.shifted(step * self._plane.thickness_mm)

    def looks_log_odds(self, step: int) -> np.ndarray:
        """(H, W) how much the intensities of a slice speak for the object."""
        return self._appearance.log_odds(self._look(self.plane_at(step)), _LOOK_SMOOTHING_PX)

    def between(self, first: int, last: int) -> dict[int, np.ndarray]:
        """{step: (H, W) float32 probability} of all slices between two known ones."""
        way = 1 if last > first else -1
        ends = self._known[first], self._known[last]
        if abs(last - first) < 2 or not any((mask > 0.5).any() for mask in ends):
            return {}
        steps = range(first, last + way, way)
        return dict(zip(steps[1:-1], self._walked(steps, *ends, False)[1:-1], strict=True))

    def beyond(self, first: int, way: int, is_inside: Callable[[SlicePlane], bool]) -> tuple[dict[int, np.ndarray], str]:
        """{step: (H, W) float32 probability} of the slices beyond a known one, until the object ends; and why it ended.

        Args:
            first: a known slice, not empty.
            way: 1 along the normal, -1 against it.
            is_inside: whether a plane still cuts the volume.
        """
        found: dict[int, np.ndarray] = {}
        start, mask = first, self._known[first]
        while True:
            steps = [start]
            while len(steps) <= self.reach and is_inside(self.plane_at(steps[-1] + way)):
                steps.append(steps[-1] + way)
            if len(steps) < 2:
                return found, "the volume ends"
            is_open = len(steps) <= self.reach
            walked = self._walked(steps, mask, None, is_open)
            areas = [int((part > 0.5).sum()) for part in walked]
            count = areas.index(0) if 0 in areas else len(areas)
            far = int(_LONG_AFTER * self.reach)
            is_long = not is_open and count > far and far > 0 and areas[far] >= _LONG_AREA * areas[0]
            count = far + 1 if is_long else count
            found.update(zip(steps[1:count], walked[1:count], strict=True))
            if not is_long:
                return found, "the volume ends" if count == len(steps) else "the object ends"
            start, mask = steps[far], walked[far]

    def _walked(self, steps, first_rc: np.ndarray, last_rc: np.ndarray | None, is_open: bool) -> list[np.ndarray]:
        """(H, W) of all steps, from a known slice to another one, to where nothing is any more, or, open, to the end of the volume."""
        if self._cancel is not None and self._cancel():
            raise PromptCancelledError("the whole object was cancelled.")
        spacing_rc, shape_rc = self._plane.spacing_rc_mm, self._plane.shape_rc
        seen = (first_rc > 0.5) | (False if last_rc is None else last_rc > 0.5)
        pad = tuple(max(int(np.ceil(_PADDING * self.length_mm / length)), 4) for length in spacing_rc)
        window = SliceWindow.around(seen, pad, 1)
        coarse = max(len(steps) * window.shape_rc[0] * window.shape_rc[1] / _MOST_VOXELS, 1.0) ** (1 / 3)
        window = SliceWindow.around(seen, pad, int(np.ceil(coarse)))
        count = max(int(np.ceil((len(steps) - 1) / max(coarse, 1))) + 1, 3)
        places = np.unique(np.round(np.linspace(0, len(steps) - 1, min(count, len(steps)))).astype(int))
        images = np.stack([self._look(window.plane(self.plane_at(steps[place]))) for place in places])
        ends = window.cut(first_rc > 0.5) > 0.5, None if last_rc is None else window.cut(last_rc > 0.5) > 0.5
        spacing_mm = (
            self._plane.thickness_mm * (len(steps) - 1) / max(len(places) - 1, 1),
            *window.plane(self._plane).spacing_rc_mm,
        )
        found = self._walk(images, spacing_mm, ends, window.inner_border(shape_rc), is_open)
        after = np.clip(np.searchsorted(places, np.arange(len(steps))), 1, None)
        result = []
        for number, later in enumerate(after):
            share = (number - places[later - 1]) / (places[later] - places[later - 1])
            result.append(window.put_back((1 - share) * found[later - 1] + share * found[later], shape_rc))
        return result

    def _walk(self, images, spacing_mm, ends, border_rc, is_open: bool) -> np.ndarray:
        first, last = ends
        foreground, background = np.zeros(images.shape, bool), np.zeros(images.shape, bool)
        background[:] = border_rc
        foreground[0], background[0] = first, ~first
        if last is not None:
            foreground[-1], background[-1] = last, ~last
        elif not is_open:
            background[-1] = True
        background &= ~foreground
        looks = 1 / (1 + np.exp(-self._appearance.log_odds(images, _LOOK_SMOOTHING_PX)))
        shape = self._expected_shape(len(images), spacing_mm, first, last)
        weight = _APPEARANCE_WEIGHT + _SHAPE_WEIGHT
        prior = (_APPEARANCE_WEIGHT * looks + _SHAPE_WEIGHT * shape) / weight
        finest = min(spacing_mm[1:])
        edges = Edges(_BETA, _EDGE_FLOOR, tuple(length / finest for length in spacing_mm))
        sigmas = [_EDGE_SMOOTHING_PX * finest / length for length in spacing_mm]
        scaled = ndimage.gaussian_filter(images, sigmas) / max(self._appearance.spread, 1e-6)
        found = random_walk(scaled, foreground, background, prior, np.full(images.shape, weight), edges)
        pieces, _count = ndimage.label(found > 0.5)
        connected = np.isin(pieces, np.unique(pieces[foreground]))
        return np.where(connected | (pieces == 0), found, np.float32(0.0))

    def _expected_shape(self, count: int, spacing_mm, first: np.ndarray, last: np.ndarray | None) -> np.ndarray:
        """(count, rows, cols) probability by shape alone."""
        finest = min(spacing_mm[1:])
        depth = [None if mask is None or not mask.any() else _depth_mm(mask, spacing_mm[1:]) for mask in (first, last)]
        shares = np.linspace(0, 1, count)[:, None, None]
        if last is None:
            depths = depth[0] - _TAPER * spacing_mm[0] * np.arange(count)[:, None, None]
        elif depth[0] is None or depth[1] is None:  # it ends in between
            one, shares = (depth[1], 1 - shares) if depth[0] is None else (depth[0], shares)
            depths = one - shares * (one.max() + finest)
        else:
            depths = (1 - shares) * depth[0] + shares * depth[1]
        return 1 / (1 + np.exp(-np.clip(depths / max(1.5 * finest, _SOFTNESS * self.length_mm), -20, 20)))


def longest_side_mm(mask_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> float:
    """Of the box around a (H, W) bool mask that is not empty."""
    sides = [(np.ptp(np.flatnonzero(mask_rc.any(axis=1 - axis))) + 1) * spacing for axis, spacing in enumerate(spacing_rc_mm)]
    return float(max(sides))


def _depth_mm(mask_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> np.ndarray:
    """To the border, positive inside."""
    inside, outside = (ndimage.distance_transform_edt(part, spacing_rc_mm) for part in (mask_rc, ~mask_rc))
    return inside - outside
