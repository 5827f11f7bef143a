"""Synthetic heads: an image of a random contrast from a label map, after Billot et al., "SynthSeg", Medical Image Analysis 2023.

Every tissue gets a random intensity. In most images white matter, gray matter and fluid are tied as in T1 (bright white matter),
T2 (bright fluid) or FLAIR (gray matter brighter than white, dark fluid), and the deep structures mix them.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mednextseg.adapt.heads.acquisition import acquired, standardized
from mednextseg.adapt.heads.random_draws import chance, uniform
from mednextseg.adapt.heads.sampling import PatchGrid, deformed_offsets, middle_of, nearest
from mednextseg.adapt.heads.structures import structures

_LARGEST_SHIFT_MM = 25.0
_NOISE = 10.0  # of 255
_OPTIC_CHIASM = 85  # brain that is no class
# Share of images, then white matter, gray matter and fluid, each between two intensities of 0..255.
_T1 = (0.35, (130, 220), (70, 150), (5, 60))
_T2 = (0.125, (50, 120), (90, 170), (150, 255))
_FLAIR = (0.125, (50, 120), (90, 170), (5, 50))


@dataclass(frozen=True)
class LabelMap:
    """A head without an image.

    Attributes:
        values: (K, J, I) FreeSurfer values (500 and up outside the brain), LPS order, 1 mm.
        middle: (3,) middle of the brain in voxels, without the fluid around it, which goes on down the spine.
    """

    values: Tensor
    middle: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "LabelMap":
        table = structures()
        codes = table.joins["freesurfer"][values.long()]
        return cls(values, middle_of((codes > 0) & (codes != table.code("cerebrospinal fluid"))))


def synthetic_head(head: LabelMap, grid: PatchGrid, generator: Generator) -> tuple[Tensor, Tensor]:
    """A random image of the head and its codes.

    Returns:
        image (K, J, I) float32, standardized; codes (K, J, I) int64.
    """
    table = structures()
    positions = deformed_offsets(grid, generator, _LARGEST_SHIFT_MM) + head.middle
    values = nearest(head.values, positions, outside=0)
    codes = table.joins["freesurfer"][values]
    if chance(generator, 0.5):
        values, codes = values.flip(2), table.mirrored[codes.flip(2)]
    mean, deviation = random_contrast(generator)
    tissue = table.tissue[values]
    if chance(generator, 0.15):  # skull-stripped
        tissue = torch.where((codes > 0) | (values == _OPTIC_CHIASM), tissue, 0)
    image = mean[tissue] + deviation[tissue] * torch.randn(tissue.shape, generator=generator)
    image, codes = acquired(image, codes, generator, grid.spacing_mm, _NOISE, table.code("anything"))
    return standardized(image), codes


def random_contrast(generator: Generator) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the intensity of every tissue, (values,) each, on a scale of 0..255."""
    mixtures = structures().mixtures
    mean = torch.rand(len(mixtures), generator=generator) * 255
    deviation = torch.rand(len(mixtures), generator=generator) * 30
    tied = _tied_intensities(generator)
    if tied is not None:
        is_mixed = mixtures.sum(1) > 0
        jitter = torch.rand(len(mixtures), generator=generator) * 28 - 14
        mean = torch.where(is_mixed, mixtures @ tied + jitter, mean)
        deviation = torch.where(is_mixed, 2 + 14 * torch.rand(len(mixtures), generator=generator), deviation)
    if chance(generator, 0.7):  # air
        mean[0], deviation[0] = 0, uniform(generator, 0, 3)
    return mean, deviation


def _tied_intensities(generator: Generator) -> Tensor | None:
    choice = uniform(generator, 0, 1)
    for share, *ranges in (_T1, _T2, _FLAIR):
        if choice < share:
            return torch.tensor([uniform(generator, *bounds) for bounds in ranges])
        choice -= share
    return None
