"""Detection lesion by lesion: which components of the reference were found, and which predicted ones are real."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# Voxels that touch by a corner belong to one lesion (26 neighbors), so that a thin lesion is not counted several times.
_TOUCHING = ndimage.generate_binary_structure(3, 3)
# A lesion counts as found once a tenth of it is covered: a single voxel in common may be chance.
MIN_COVERED = 0.1


@dataclass(frozen=True)
class LesionDetection:
    """Counts over one or several cases.

    Attributes:
        reference: lesions there are; found: of these, covered by at least MIN_COVERED.
        predicted: components predicted; correct: of these, lying on a reference lesion by at least MIN_COVERED.
    """

    reference: int
    found: int
    predicted: int
    correct: int

    @property
    def recall(self) -> float | None:
        """Found share of the reference lesions; None where there is none to find."""
        return self.found / self.reference if self.reference else None

    @property
    def precision(self) -> float | None:
        """Correct share of the predicted lesions; None where none was predicted."""
        return self.correct / self.predicted if self.predicted else None


def detect_lesions(reference_kji: np.ndarray, prediction_kji: np.ndarray) -> LesionDetection:
    """Compare the components of two masks, bool (K, J, I) of the same shape; either may be empty."""
    found, reference = _covered(reference_kji, prediction_kji)
    correct, predicted = _covered(prediction_kji, reference_kji)
    return LesionDetection(reference, found, predicted, correct)


def _covered(mask_kji: np.ndarray, by_kji: np.ndarray) -> tuple[int, int]:
    """How many components of the mask the other covers enough, of how many."""
    components, count = ndimage.label(mask_kji, _TOUCHING)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    inside = np.bincount(components[by_kji], minlength=count + 1)[1:]
    return int((inside >= MIN_COVERED * sizes).sum()) if count else 0, count
