"""A user who sees where an object is wrong: the first prompt on the largest slice, and clicks in the middle of errors."""

import numpy as np
from objects import LabeledObject

from mednextseg.adapt.click_net.clicks import SimulatedUser, bounding_box
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.refinement import Refinement

STARTS = ("click", "stroke", "box")


def refinement_of(target: LabeledObject, prompter: Prompter, segment_kji: np.ndarray | None = None) -> Refinement:
    """Of an object, from a segment or from nothing."""
    return Refinement(target.volume_kji, target.geometry, prompter, segment_kji, display_range=target.display_range)


def dice(mask_kji: np.ndarray, truth_kji: np.ndarray) -> float:
    """Of two bool arrays; 1 where both are empty."""
    total = int(mask_kji.sum()) + int(truth_kji.sum())
    return 2.0 * int((mask_kji & truth_kji).sum()) / total if total else 1.0


def start(refinement: Refinement, target: LabeledObject, kind: str, index: int | None = None) -> None:
    """One of STARTS on a slice, by default that where most of the object is.

    A stroke runs through the thickest place, along the object's longer side on that slice, over two thirds of what is object there.
    """
    index = int(target.pixels_by_slice(target.truth_kji).argmax()) if index is None else index
    plane, truth_rc = target.plane(index), target.on_slice(target.truth_kji, index)
    row, col = SimulatedUser().first_click(truth_rc)
    if kind == "click":
        refinement.add_point(plane.ras_from_rc([row, col]), True, plane)
    elif kind == "box":
        r0, c0, r1, c1 = np.array(bounding_box(truth_rc)) - 0.5
        refinement.add_box(plane.ras_from_rc([[r0, c0], [r1, c1]]), plane)
    else:
        refinement.add_scribble(plane.ras_from_rc(_line_through(truth_rc, row, col)), True, plane)


def _line_through(truth_rc: np.ndarray, row: int, col: int) -> np.ndarray:
    places = np.argwhere(truth_rc) - (row, col)
    _values, vectors = np.linalg.eigh(places.T @ places)
    way, ends = vectors[:, 1], []
    for sign in (1, -1):
        steps = (row, col) + sign * np.arange(200)[:, None] * way
        pixels = np.floor(steps + 0.5).astype(int)
        inside = ((pixels >= 0) & (pixels < truth_rc.shape)).all(axis=1)
        inside[inside] = truth_rc[tuple(pixels[inside].T)]
        ends.append(steps[int(2 / 3 * (int(np.argmin(inside)) - 1))] if not inside.all() else steps[0])
    return np.linspace(ends[0], ends[1], 9)


def most_wrong(target: LabeledObject, mask_kji: np.ndarray) -> int:
    """The slice with the most wrong voxels."""
    return int(target.pixels_by_slice(mask_kji ^ target.truth_kji).argmax())


def correct(refinement: Refinement, target: LabeledObject, index: int) -> bool:
    """One click in the middle of the largest error of a slice; False where nothing is wrong there."""
    mask_rc = target.on_slice(refinement.preview_segment(), index)
    click = SimulatedUser().correction(mask_rc, target.on_slice(target.truth_kji, index))
    if click is None:
        return False
    plane = target.plane(index)
    refinement.add_point(plane.ras_from_rc(click[:2]), bool(click[2]), plane)
    return True


def carry_on(refinement: Refinement) -> None:
    """Whole object, where the slice worked on has something to carry on or others do."""
    try:
        refinement.whole_object()
    except ValueError:  # an empty mask: the user would click again
        return
