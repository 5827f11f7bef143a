"""The random walker of Grady (TPAMI 2006) as a prompter without weights, and the baseline every network has to beat.

Clicks are seeds, an earlier mask is a weak prior. It is good at correcting and weak at a first click or a lone box.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mednextseg.refine.prompter import (
    Cancel,
    Embedding,
    PrompterInfo,
    Result,
    checked,
    obey_prompts,
    only_takes_away,
    scaled_to_display,
    started_by_lassos,
)
from mednextseg.refine.prompters.network_view import NetworkView, view_around, whole_slice
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.random_walk import random_walk
from mednextseg.refine.strokes import Stroke

_SIZE_PX, _LEAST_SIZE_PX = 128, 32
_SIGMA_PX = 0.7
_SEED_RADIUS_PX = 1.5
_BORDER_FREE_PX = 12.0  # border pixels are background seeds except this near to an object click
# Weight of the earlier mask against the unit weight of a flat edge: with clicks, which make room for themselves, and without,
# where only the image can correct it (a neighboring slice's mask).
_PRIOR_WEIGHT, _LONE_PRIOR_WEIGHT = 0.1, 0.02
_CLICK_REACH_PX = 14.0  # the prior fades near a click, which says that it was wrong there


@dataclass(frozen=True, eq=False)
class _Start:
    """The mask that came from elsewhere, or None."""

    mask: np.ndarray | None


class RandomWalkerPrompter:
    """The weight-free fallback; see Prompter for the calls."""

    info = PrompterInfo("random_walker", "random_walker-1", False, native_size_px=_SIZE_PX)
    completion = None

    def encode(
        self,
        image_rc: np.ndarray,
        spacing_rc_mm: tuple[float, float] = (1.0, 1.0),
        display_range: tuple[float, float] | None = None,
    ) -> Embedding:
        """Scale the slice to what is displayed. See Prompter.encode."""
        return Embedding(scaled_to_display(image_rc, display_range), tuple(spacing_rc_mm))

    def predict(self, embedding: Embedding, prompts: Prompts, state: Any = None, cancel: Cancel | None = None) -> Result:
        """Answer prompts; see Prompter.predict.

        `state` is the mask that the slice started from: the walker's own earlier answers tell it nothing that the clicks do
        not, and would only hold back a correction.
        """
        checked(embedding, prompts)
        shape = embedding.image_rc.shape
        if only_takes_away(prompts):
            return Result(np.zeros(shape, np.float32))
        prompts = started_by_lassos(prompts, shape)
        start = state if state is not None else _Start(prompts.mask)
        if prompts.box is not None and start.mask is None and not _has_object(prompts):
            return Result(obey_prompts(_ellipse(prompts.box, shape), prompts), state=start)
        size = min(_SIZE_PX, max(_LEAST_SIZE_PX, *shape))  # a small slice gains nothing from a finer grid
        view = whole_slice(shape, size)
        if prompts.box is not None:
            view = view_around(_around(prompts), 1.3, 24.0, shape, size)
        image = ndimage.gaussian_filter(view.cut(embedding.image_rc), _SIGMA_PX)
        prior = None if start.mask is None else view.cut(start.mask)
        foreground, background = _seeds(view, prompts, prior)
        if not foreground.any():
            mask = np.zeros(shape, np.float32) if start.mask is None else start.mask.copy()
            return Result(obey_prompts(mask, prompts), state=start)
        weight = None if prior is None else _prior_weight(view, prompts)
        probability = random_walk(image, foreground, background, prior, weight)
        return Result(obey_prompts(view.put_back(probability, shape), prompts), state=start)


def _seeds(view: NetworkView, prompts: Prompts, prior: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background seeds in the view: clicks, the border, the outside of a box, the middle of a lone mask."""
    size = view.size_px
    rows, cols = np.indices((size, size))
    points = view.points_to_view(prompts.points_rc)
    foreground, background = (np.zeros((size, size), bool) for _ in range(2))
    near_click = np.zeros_like(foreground)
    for (row, col), label in zip(points, prompts.labels, strict=True):
        squared = (rows - row) ** 2 + (cols - col) ** 2
        (foreground if label else background)[squared <= _SEED_RADIUS_PX**2] = True
        near_click |= (squared <= _BORDER_FREE_PX**2) & bool(label)
    for stroke in reversed(prompts.strokes):  # clicks win over strokes, later strokes over earlier ones
        if not (stroke.is_lasso and stroke.is_positive):
            pixels = _seen(stroke, view) & ~foreground & ~background
            (foreground if stroke.is_positive else background)[pixels] = True
            if stroke.is_positive and pixels.any():
                near_click |= ndimage.distance_transform_edt(~pixels) <= _BORDER_FREE_PX
    border = (rows == 0) | (cols == 0) | (rows == size - 1) | (cols == size - 1)
    background |= border & ~near_click & ~foreground
    if prompts.box is not None:
        r0, c0, r1, c1 = view.box_to_view(prompts.box)
        background |= ((rows + 0.5 < r0) | (rows + 0.5 > r1) | (cols + 0.5 < c0) | (cols + 0.5 > c1)) & ~foreground
    if prior is not None and not foreground.any() and (prior > 0.5).any():
        thickness = ndimage.distance_transform_edt(prior > 0.5)
        foreground |= (thickness > 0.7 * thickness.max()) & ~background
    return foreground, background & ~foreground


def _ellipse(box: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """The inscribed ellipse, (H, W) float32: from a lone box no weight-free method was measured to do better."""
    r0, c0, r1, c1 = box
    rows, cols = np.ogrid[: shape_rc[0], : shape_rc[1]]
    height, width = max(r1 - r0, 1.0), max(c1 - c0, 1.0)
    squared = ((rows + 0.5 - (r0 + r1) / 2) / height) ** 2 + ((cols + 0.5 - (c0 + c1) / 2) / width) ** 2
    return (squared <= 0.25).astype(np.float32)


def _prior_weight(view: NetworkView, prompts: Prompts) -> np.ndarray:
    points = view.points_to_view(_all_points(prompts, _CLICK_REACH_PX / 2 / view.scale))
    lone = not len(points)
    weight = np.full((view.size_px, view.size_px), _LONE_PRIOR_WEIGHT if lone else _PRIOR_WEIGHT)
    rows, cols = np.indices(weight.shape)
    for row, col in points:
        weight *= 1.0 - np.exp(-0.5 * ((rows - row) ** 2 + (cols - col) ** 2) / (_CLICK_REACH_PX / 2) ** 2)
    return weight


def _around(prompts: Prompts) -> np.ndarray:
    edges = [prompts.box, *(np.concatenate([point, point + 1]) for point in _all_points(prompts, np.inf))]
    stacked = np.stack(edges)
    return np.concatenate([stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)])


def _has_object(prompts: Prompts) -> bool:
    """Whether a click or a scribble lies on the object."""
    return bool((prompts.labels == 1).any()) or any(stroke.is_positive for stroke in prompts.scribbles)


def _all_points(prompts: Prompts, step_px: float) -> np.ndarray:
    """(N, 2) the clicks, and points of the scribbles so far apart; with no limit their ends and corners."""
    lines = [s.points_rc if np.isinf(step_px) else s.sampled_rc(step_px) for s in prompts.scribbles]
    return np.concatenate([prompts.points_rc, *lines])


def _seen(stroke: Stroke, view: NetworkView) -> np.ndarray:
    """(size, size) bool: a stroke's pixels, as the view has them."""
    moved = Stroke(view.points_to_view(stroke.points_rc), stroke.is_positive, stroke.is_lasso)
    return moved.pixels((view.size_px, view.size_px))
