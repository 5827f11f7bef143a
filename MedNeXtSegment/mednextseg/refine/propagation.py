"""A corrected slice carried on to its neighbors, with the reasons to stop.

Each next slice is prompted with the mask of the one before and its box, widened: a mask alone says too little to networks
like SAM. What the network answers is weighed by how the object looks on the first slice; pieces apart from it are dropped.
The rules are those of micro-sam (Archit et al., Nature Methods 2025) and of the failures its users and those of SAM 2 report.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.refine.appearance import Appearance
from mednextseg.refine.prompter import Cancel, Embedding, PromptCancelledError, Prompter
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.slices.slice_plane import SlicePlane

# Of the intensities against the network, whose own odds are at most 10,000 to 1; measured in docs/developers/refine_evaluation.md.
_INTENSITY_WEIGHT, _SUREST_LOG_ODDS = 2.0, float(np.log(1e4))


@dataclass(frozen=True)
class StoppingRules:
    """When propagation ends on one side.

    Attributes:
        least_overlap: Dice of a slice's mask with that of the slice before.
        area_ratio: allowed range of its area over that of the slice before.
        least_usual_share: how much of the mask must have an intensity that nine of ten pixels have in the first slice.
        intensity_sigmas: how far the mean intensity in the mask may lie from that in the first slice, in standard deviations.
        least_score: of the network's own quality, where it states one.
        least_area_px: a smaller mask counts as empty.
    """

    least_overlap: float = 0.6
    area_ratio: tuple[float, float] = (0.5, 2.0)
    least_usual_share: float = 0.6
    intensity_sigmas: float = 3.0
    least_score: float = 0.3
    least_area_px: int = 8


@dataclass(frozen=True, eq=False)
class PropagatedSlice:
    """One slice that was filled in: its plane, (H, W) float32 probability, and the network's score (NaN where it has none)."""

    plane: SlicePlane
    probability: np.ndarray
    score: float

    @property
    def confidence(self) -> float:
        """How sure this slice is, in [0, 1]: the score; where there is none, the mean probability of the mask."""
        mask = self.probability > 0.5
        return self.score if np.isfinite(self.score) else float(self.probability[mask].mean()) if mask.any() else 0.0

    @property
    def center_ras(self) -> np.ndarray:
        """(3,) RAS mm: the middle of the mask; of the slice where there is none."""
        places = np.argwhere(self.probability > 0.5)
        return self.plane.ras_from_rc(places.mean(axis=0) if len(places) else (np.array(self.plane.shape_rc) - 1) / 2)


@dataclass(frozen=True, eq=False)
class Propagation:
    """What one direction gave: the slices, nearest first, and why it ended, as a phrase for the user."""

    slices: tuple[PropagatedSlice, ...]
    ended: str


Encode = Callable[[SlicePlane], Embedding]
Kept = Callable[[SlicePlane], np.ndarray | None]


def propagate(
    prompter: Prompter,
    encode: Encode,
    plane: SlicePlane,
    mask_rc: np.ndarray,
    count: int,
    direction: int = 1,
    kept: Kept = lambda plane: None,
    rules: StoppingRules | None = None,
    cancel: Cancel | None = None,
    is_inside: Callable[[SlicePlane], bool] = lambda plane: True,
) -> Propagation:
    """Carry a mask on, slice by slice.

    Args:
        prompter, encode: what turns prompts into a mask, and a plane into an embedding.
        plane, mask_rc: the corrected slice and its (H, W) mask or probability.
        count: the user's limit: at most so many slices.
        direction: 1 along the plane's normal, -1 against it.
        kept: for a plane, the (H, W) mask made there by hand, or None; it is never overwritten, and propagation goes on from it.
        rules: when to stop; None for the defaults.
        cancel: asked before each slice and while one is answered.
        is_inside: whether a plane still cuts the volume; propagation ends where it does not.
    Raises:
        ValueError: for an empty mask.
        PromptCancelledError: when `cancel` said so.
    """
    previous, limits = _mask_to_carry(mask_rc), rules or StoppingRules()
    appearance = Appearance(encode(plane).image_rc, previous > 0.5)
    found: list[PropagatedSlice] = []
    for step in range(1, count + 1):
        if cancel is not None and cancel():
            raise PromptCancelledError("propagation was cancelled.")
        there = plane.shifted(direction * step * plane.thickness_mm)
        if not is_inside(there):
            return Propagation(tuple(found), "the volume ends")
        probability = kept(there)
        if probability is None:
            embedding = encode(there)
            result = prompter.predict(embedding, Prompts(box=widened_box(previous > 0.5), mask=previous), None, cancel)
            probability = _weighed(result.probability, appearance.log_odds(embedding.image_rc), previous > 0.5)
            reason = _reason_to_stop(embedding.image_rc, probability, previous, result.score, appearance, limits)
            if reason:
                return Propagation(tuple(found), reason)
            found.append(PropagatedSlice(there, probability, result.score))
        elif not (probability > 0.5).any():
            return Propagation(tuple(found), "a slice corrected by hand is empty")
        previous = np.asarray(probability, np.float32)
    return Propagation(tuple(found), "the limit of slices is reached")


def propagate_between(
    prompter: Prompter,
    encode: Encode,
    first: tuple[SlicePlane, np.ndarray],
    last: tuple[SlicePlane, np.ndarray],
    cancel: Cancel | None = None,
) -> tuple[PropagatedSlice, ...]:
    """Fill the gap between two corrected, parallel slices, from both ends.

    Each end is carried on to the other; where both reach, their probabilities are averaged with weights that fall linearly with
    the distance from their own end.

    Args:
        first, last: plane and (H, W) mask or probability of the two slices; the planes have the same grid.
    Raises:
        ValueError: where the planes are not parallel slices of one grid.
    """
    (plane, mask), (other_plane, other_mask) = first, last
    distance = plane.distance_mm(other_plane.origin_ras)
    steps = round(abs(float(distance)) / plane.thickness_mm)
    expected = plane.shifted(float(np.sign(distance)) * steps * plane.thickness_mm)
    same_grid = plane.shape_rc == other_plane.shape_rc and np.allclose(expected.origin_ras, other_plane.origin_ras, atol=1e-3)
    if not same_grid or not np.allclose(plane.normal_ras, other_plane.normal_ras, atol=1e-6):
        raise ValueError("the two slices are not parallel slices of one grid; correct both in the same slice view.")
    direction = 1 if distance > 0 else -1
    ends = ((plane, mask, direction), (other_plane, other_mask, -direction))
    ahead, back = (  # an end without the object has nothing to carry on
        propagate(prompter, encode, start, start_mask, steps - 1, way, cancel=cancel).slices if (start_mask > 0.5).any() else ()
        for start, start_mask, way in ends
    )
    result = []
    for step in range(1, steps):
        parts = []
        if step <= len(ahead):
            parts.append((steps - step, ahead[step - 1]))
        if steps - step <= len(back):
            parts.append((step, back[steps - step - 1]))
        if not parts:
            continue
        total = sum(weight for weight, _ in parts)
        probability = sum(weight / total * part.probability for weight, part in parts).astype(np.float32)
        score = sum(weight / total * part.score for weight, part in parts)
        result.append(PropagatedSlice(parts[0][1].plane, probability, score))
    return tuple(result)


def _weighed(probability_rc: np.ndarray, log_odds_rc: np.ndarray, before_rc: np.ndarray) -> np.ndarray:
    """The network's probability and the intensities together; pieces apart from the mask before are taken out."""
    with np.errstate(divide="ignore"):
        own = np.clip(np.log(probability_rc) - np.log1p(-probability_rc), -_SUREST_LOG_ODDS, _SUREST_LOG_ODDS)
    weighed = (1 / (1 + np.exp(-own - _INTENSITY_WEIGHT * log_odds_rc))).astype(np.float32)
    return without_apart(weighed, before_rc)


def without_apart(probability_rc: np.ndarray, before_rc: np.ndarray) -> np.ndarray:
    """A (H, W) probability without the pieces that do not touch a (H, W) bool mask, that of the slice before."""
    pieces, _count = ndimage.label(probability_rc > 0.5)
    connected = np.isin(pieces, np.unique(pieces[before_rc]))
    return np.where(connected | (pieces == 0), probability_rc, np.float32(0.0))


def _mask_to_carry(mask_rc: np.ndarray) -> np.ndarray:
    if not (np.asarray(mask_rc) > 0.5).any():
        raise ValueError("there is nothing to propagate: the slice's mask is empty; segment it first.")
    return np.asarray(mask_rc, np.float32)


def widened_box(mask_rc: np.ndarray, share: float = 0.07) -> np.ndarray:
    """r0, c0, r1, c1 (half-open) around a mask, each side pushed outwards by `share` of the length and at least a pixel."""
    rows, cols = np.flatnonzero(mask_rc.any(axis=1)), np.flatnonzero(mask_rc.any(axis=0))
    r0, c0, r1, c1 = rows[0], cols[0], rows[-1] + 1, cols[-1] + 1
    dr, dc = max(1.0, share * (r1 - r0)), max(1.0, share * (c1 - c0))
    return np.array([max(r0 - dr, 0), max(c0 - dc, 0), min(r1 + dr, mask_rc.shape[0]), min(c1 + dc, mask_rc.shape[1])], float)


def _reason_to_stop(
    image_rc: np.ndarray,
    probability_rc: np.ndarray,
    previous_rc: np.ndarray,
    score: float,
    appearance: Appearance,
    rules: StoppingRules,
) -> str:
    """Why this slice is not part of the object any more; empty where it is."""
    mask, before = probability_rc > 0.5, previous_rc > 0.5
    area, area_before = int(mask.sum()), int(before.sum())
    if area < rules.least_area_px:
        return "the object ends"
    if not rules.area_ratio[0] <= area / max(area_before, 1) <= rules.area_ratio[1]:
        return "the area changes too much from slice to slice"
    if 2.0 * int((mask & before).sum()) / (area + area_before) < rules.least_overlap:
        return "the mask moves too far from slice to slice"
    is_usual = appearance.usual_share(image_rc, mask) >= rules.least_usual_share
    if not is_usual or appearance.sigmas_off(image_rc, mask) > rules.intensity_sigmas:
        return "the intensity differs too much from the first slice"
    if score < rules.least_score:  # False for NaN: no opinion, no reason
        return "the network is not sure of its mask"
    return ""
