"""Real heads: patches of a labeled scan, with the gray scale bent so that one contrast stands for many."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mednextseg.adapt.heads.acquisition import acquired, standardized, unit_range
from mednextseg.adapt.heads.random_draws import chance
from mednextseg.adapt.heads.sampling import PatchGrid, deformed_offsets, linear, middle_of, nearest
from mednextseg.adapt.heads.structures import structures

_LARGEST_SHIFT_MM = 20.0
_NOISE = 0.06
_CURVE_NODES = 8


@dataclass(frozen=True)
class LabeledHead:
    """A scan with codes.

    Attributes:
        image: (K, J, I) float32, LPS order. codes: (K, J, I), see structures.py.
        spacing_mm: edge of a voxel, the same along all axes.
        middle: (3,) middle of the brain in voxels.
    """

    image: Tensor
    codes: Tensor
    spacing_mm: float
    middle: Tensor

    @classmethod
    def of(cls, image: Tensor, codes: Tensor, spacing_mm: float) -> "LabeledHead":
        outside = structures().code("outside the brain")
        return cls(image, codes, spacing_mm, middle_of((codes != outside) & (codes > 0)))


def plain_head(head: LabeledHead, grid: PatchGrid) -> tuple[Tensor, Tensor]:
    """The patch around the middle of the brain as it is, for validation: image (K, J, I), standardized, and codes."""
    image, codes = _read(head, grid.offsets())
    return standardized(unit_range(image, 0.005)), codes


def augmented_head(head: LabeledHead, grid: PatchGrid, generator: Generator) -> tuple[Tensor, Tensor]:
    """A random patch for training: image (K, J, I), standardized, and codes."""
    table = structures()
    image, codes = _read(head, deformed_offsets(grid, generator, _LARGEST_SHIFT_MM))
    image = unit_range(image, 0.005)
    if chance(generator, 0.5):
        image, codes = image.flip(2), table.mirrored[codes.flip(2)]
    if chance(generator, 0.15):  # skull-stripped
        image = torch.where(codes == table.code("outside the brain"), 0, image)
    if chance(generator, 0.5):
        image = _bent_gray_scale(image, generator)
    image, codes = acquired(image, codes, generator, grid.spacing_mm, _NOISE, table.code("anything"))
    return standardized(image), codes


def _read(head: LabeledHead, offsets_mm: Tensor) -> tuple[Tensor, Tensor]:
    positions = offsets_mm / head.spacing_mm + head.middle
    return linear(head.image, positions), nearest(head.codes, positions, structures().code("outside the brain"))


def _bent_gray_scale(image: Tensor, generator: Generator) -> Tensor:
    """A random piecewise linear curve over 0..1, mostly with black kept black."""
    nodes = torch.rand(_CURVE_NODES, generator=generator)
    if chance(generator, 0.7):
        nodes[0] = 0
    place = image * (_CURVE_NODES - 1.001)
    left = place.floor().long().clamp(0, _CURVE_NODES - 2)
    share = place - left
    return nodes[left] * (1 - share) + nodes[left + 1] * share
