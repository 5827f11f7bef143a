"""Where the voxels of a patch lie in a head: a grid around its middle, turned, scaled and bent at random; and reading values there.

Arrays are in LPS order: (K, J, I), with i growing to the patient's left, so a flip of the last axis exchanges the sides.
Positions are offsets in mm, last axis (k, j, i).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mednextseg.adapt.heads.random_draws import integer, uniform

_LARGEST_ROTATION_DEGREES = 20
_SCALES = (0.85, 1.18)
_SHEAR = 0.03
_BENDING_MM = 4.0


@dataclass(frozen=True)
class PatchGrid:
    """The network's grid: voxels along K, J, I and the edge of a voxel in mm."""

    size_kji: tuple[int, int, int]
    spacing_mm: float

    def offsets(self) -> Tensor:
        """(K, J, I, 3) in mm from the middle of the patch."""
        axes = [(torch.arange(n) - (n - 1) / 2) * self.spacing_mm for n in self.size_kji]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def deformed_offsets(grid: PatchGrid, generator: Generator, shift_mm: float) -> Tensor:
    """The grid's offsets under a random affine map and a smooth random bending, (K, J, I, 3) in mm."""
    matrix = _rotation(generator) @ torch.diag(torch.tensor([uniform(generator, *_SCALES) for _ in range(3)]))
    matrix = matrix @ (torch.eye(3) + _SHEAR * torch.randn(3, 3, generator=generator))
    shift = torch.tensor([uniform(generator, -shift_mm, shift_mm) for _ in range(3)])
    nodes = integer(generator, 4, 10)
    bending = torch.randn(1, 3, nodes, nodes, nodes, generator=generator) * uniform(generator, 0, _BENDING_MM)
    bending = F.interpolate(bending, size=grid.size_kji, mode="trilinear", align_corners=True)
    return grid.offsets() @ matrix.T + shift + bending[0].permute(1, 2, 3, 0)


def middle_of(mask: Tensor) -> Tensor:
    """The middle (k, j, i) in voxels of a mask (K, J, I), axis by axis."""
    return torch.stack([torch.nonzero(mask.any(b).any(a)).float().mean() for a, b in ((1, 2), (0, 2), (0, 1))])


def nearest(labels: Tensor, positions: Tensor, outside: int) -> Tensor:
    """Labels (K, J, I) at positions (..., 3) in voxels, `outside` beyond the array; int64."""
    size = torch.tensor(labels.shape)
    voxels = positions.round().long()
    is_inside = ((voxels >= 0) & (voxels < size)).all(-1)
    k, j, i = torch.minimum(voxels.clamp(min=0), size - 1).unbind(-1)
    return torch.where(is_inside, labels[k, j, i].long(), torch.tensor(outside))


def linear(volume: Tensor, positions: Tensor) -> Tensor:
    """Intensities (K, J, I) at positions (..., 3) in voxels by linear interpolation, 0 beyond the array."""
    last = torch.tensor(volume.shape, dtype=torch.float32) - 1
    unit = (2 * positions / last - 1).flip(-1)  # grid_sample wants x, y, z
    return F.grid_sample(volume[None, None], unit[None], mode="bilinear", align_corners=True)[0, 0]


def _rotation(generator: Generator) -> Tensor:
    matrix = torch.eye(3)
    for axis in range(3):
        angle = math.radians(uniform(generator, -_LARGEST_ROTATION_DEGREES, _LARGEST_ROTATION_DEGREES))
        a, b = (n for n in range(3) if n != axis)
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix
