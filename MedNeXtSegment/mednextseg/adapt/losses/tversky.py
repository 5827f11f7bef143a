"""The Tversky index: Dice with a price of its own for what was missed and for what is wrong.

Paper: Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks", MLMI 2017, whose best
setting is 0.7 for missed and 0.3 for wrong voxels. MedISeg's code has it the other way round; both are there.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Tversky:
    """found / (found + missed * missed voxels + wrong * wrong voxels); 0.5 and 0.5 are Dice."""

    missed: float
    wrong: float

    def __call__(self, found: Tensor, predicted: Tensor, drawn: Tensor) -> Tensor:
        return (found + 1) / (found + self.missed * (drawn - found) + self.wrong * (predicted - found) + 1)


USUAL = Tversky(missed=0.7, wrong=0.3)
PUBLISHED = Tversky(missed=0.3, wrong=0.7)
