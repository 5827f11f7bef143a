"""Whether what was drawn lies beside what the base finds: segmentations of other images, or of a grid that was mistaken.

Labels that are all shifted alike can be learned, and the held-out ones, shifted too, would praise the result. Only a model that knew
the structures before can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from mednextseg.evaluate.mask_grids import labels_on_grid
from mednextseg.labels.names import canonical_name
from mednextseg.segmentation_io import Segmentation

# Found where the base's structures, moved, agree well with the drawn ones, and much better than where they are. One structure alone, moved
# as one likes, covers another one of its size by chance: in images that the base does not know, 0.73 was seen, of two together 0.51.
_GOOD_DICE, _GOOD_DICE_OF_ONE, _GAIN = 0.6, 0.8, 0.15
_LARGEST_AXIS = 96
_FIGURES = ("distance_mm", "dice_here", "dice_there")


@dataclass(frozen=True)
class Displacement:
    """How the drawn structures of a case lie beside the found ones.

    Attributes:
        distance_mm: to where they agree best.
        dice_here, dice_there: agreement of all structures in their places, and moved.
        structures: that both have; files of older versions do not say, which counts as one.
    """

    distance_mm: float
    dice_here: float
    dice_there: float
    structures: int = 1

    @property
    def is_found(self) -> bool:
        """Whether the two are the same structures in different places."""
        good = _GOOD_DICE if self.structures > 1 else _GOOD_DICE_OF_ONE
        return self.dice_there >= good and self.dice_there - self.dice_here >= _GAIN


def displacement(reference: Segmentation, prediction: Segmentation) -> Displacement | None:
    """Move the found structures as a whole until they cover the drawn ones best; None where they have no structure in common.

    Large grids are looked at in coarser steps.
    """
    drawn_kji, geometry = reference.labelmap_kji, reference.geometry
    found_kji, _ = labels_on_grid(prediction.labelmap_kji, prediction.geometry, geometry)
    numbers = {canonical_name(label.name): label.value for label in prediction.labels}
    pairs = [(label.value, numbers[key]) for label in reference.labels if (key := canonical_name(label.name)) in numbers]
    pairs = [(ours, theirs) for ours, theirs in pairs if (drawn_kji == ours).any() and (found_kji == theirs).any()]
    if not pairs:
        return None
    anything = np.isin(drawn_kji, [ours for ours, _ in pairs]) | np.isin(found_kji, [theirs for _, theirs in pairs])
    box = ndimage.find_objects(anything.astype(np.uint8))[0]
    step = max(1, -(-max(part.stop - part.start for part in box) // _LARGEST_AXIS))
    drawn_kji, found_kji = drawn_kji[box][::step, ::step, ::step], found_kji[box][::step, ::step, ::step]
    masks = [((drawn_kji == ours).astype(np.float32), (found_kji == theirs).astype(np.float32)) for ours, theirs in pairs]
    size = sum(float(ours.sum() + theirs.sum()) for ours, theirs in masks)
    if size == 0:
        return None
    common = sum(signal.fftconvolve(ours, theirs[::-1, ::-1, ::-1]) for ours, theirs in masks)
    best = np.unravel_index(int(common.argmax()), common.shape)
    here = tuple(n - 1 for n in drawn_kji.shape)
    moved_mm = (np.array(best) - here) * step * np.array(geometry.spacing_kji_mm)
    dice_here, dice_there = (max(0.0, float(2 * common[at] / size)) for at in (here, best))
    return Displacement(float(np.linalg.norm(moved_mm)), dice_here, dice_there, len(pairs))


def doubts(displacements: Sequence[Displacement | None]) -> list[str]:
    """One sentence where most of the cases are displaced, else an empty list."""
    known = [found for found in displacements if found is not None]
    displaced = [found for found in known if found.is_found]
    if not displaced or 2 * len(displaced) <= len(known):
        return []
    mm, here, there = (float(np.median([getattr(found, name) for found in displaced])) for name in _FIGURES)
    of = f"{len(displaced)} of {len(known)}"
    sentence = (
        f"In {of} held-out cases what was drawn lies about {mm:.0f} mm beside what the base finds (Dice {here:.2f}, and {there:.2f} if "
        "moved there); check that segmentations and images belong together."
    )
    return [sentence]
