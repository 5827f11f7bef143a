"""The form of the two terms that a loss is made of."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

# Logarithms (voxels,) of the probability that a voxel is what it may be -> the mean cost, a scalar.
VoxelTerm = Callable[[Tensor], Tensor]
# For each class (classes,): probability where it was drawn, probability anywhere, voxels drawn -> a score, 1 where all is right.
RegionTerm = Callable[[Tensor, Tensor, Tensor], Tensor]


class LossTerms(NamedTuple):
    """What adapt/mednext/partial_labels.py adds up."""

    voxels: VoxelTerm
    regions: RegionTerm
