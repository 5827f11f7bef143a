"""Boxes for a fine model around what a coarse one has found: margins in mm, unions, and whether a result fits into its box.

Boxes lie along R, A and S, whatever the grid of the volume, so that the same anatomy gets the same box. The way of working, coarse on the
whole and fine in boxes with a margin, is that of Zhu et al. (3DV 2018, arXiv:1712.00201).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segment.roi import RegionOfInterest


@dataclass(frozen=True)
class FoundRegion:
    """A box in which a fine model looks.

    Attributes:
        names: of the coarse labels inside.
        low_ras, high_ras: opposite corners in mm.
        side: "left" or "right" where the box gives the fine labels their side.
    """

    names: tuple[str, ...]
    low_ras: tuple[float, float, float]
    high_ras: tuple[float, float, float]
    side: str | None = None

    @property
    def roi(self) -> RegionOfInterest:
        """The box as a region of a run."""
        return RegionOfInterest(tuple(mm for pair in zip(self.low_ras, self.high_ras, strict=True) for mm in pair))

    def overlaps(self, other: "FoundRegion") -> bool:
        """Whether the two boxes have space in common; faces that only touch have none."""
        low, high = np.maximum(self.low_ras, other.low_ras), np.minimum(self.high_ras, other.high_ras)
        return bool((low < high).all())

    def union(self, other: "FoundRegion") -> "FoundRegion":
        """The box that holds both."""
        low, high = np.minimum(self.low_ras, other.low_ras), np.maximum(self.high_ras, other.high_ras)
        return replace(self, names=self.names + other.names, low_ras=tuple(low.tolist()), high_ras=tuple(high.tolist()))

    def enlarged(self, faces: np.ndarray, by_mm: float) -> "FoundRegion":
        """The box with some of its faces moved outward; `faces` bool (2, 3): the low and the high face along R, A, S."""
        low, high = np.array(self.low_ras) - by_mm * faces[0], np.array(self.high_ras) + by_mm * faces[1]
        return replace(self, low_ras=tuple(low.tolist()), high_ras=tuple(high.tolist()))


def regions_around(
    labelmap_kji: np.ndarray, geometry: Geometry, labels: Sequence[Label], margin_mm: float
) -> dict[str, FoundRegion]:
    """A box around every label that is there, reaching `margin_mm` beyond its voxel centers; by the label's name."""
    found = {}
    for label in labels:
        indices_kji = np.argwhere(labelmap_kji == label.value)[:, -3:]  # of labels that overlap, the layer stands before
        if len(indices_kji):
            points_ras = geometry.ras_from_ijk(indices_kji[:, ::-1])
            low, high = points_ras.min(axis=0) - margin_mm, points_ras.max(axis=0) + margin_mm
            found[label.name] = FoundRegion((label.name,), tuple(low.tolist()), tuple(high.tolist()))
    return found


def united(regions: Sequence[FoundRegion]) -> list[FoundRegion]:
    """As few boxes as needed so that no two of the same side overlap: those that do become one, and that one is compared again."""
    apart: list[FoundRegion] = []
    for region in regions:
        merged = region
        while together := [other for other in apart if other.side == merged.side and other.overlaps(merged)]:
            apart = [other for other in apart if other not in together]
            merged = reduce(FoundRegion.union, [*together, merged])
        apart.append(merged)
    return apart


def faces_touched(mask_kji: np.ndarray, geometry: Geometry, region: FoundRegion) -> np.ndarray:
    """Which faces of a box cut a result off: bool (2, 3), low and high along R, A, S.

    A face is touched where the voxel after the outermost one of the result would lie beyond it; faces beyond the volume cut nothing off.

    Args:
        mask_kji: bool, the result.
        geometry: of the mask.
        region: the box that limited it.
    """
    indices_kji = np.argwhere(mask_kji)
    if not len(indices_kji):
        return np.zeros((2, 3), dtype=bool)
    step = np.abs(geometry.ijk_to_ras[:3, :3]).max(axis=1)
    points_ras, corners_ras = geometry.ras_from_ijk(indices_kji[:, ::-1]), geometry.corners_ras()
    low = (points_ras.min(axis=0) - step < region.low_ras) & (np.array(region.low_ras) > corners_ras.min(axis=0))
    high = (points_ras.max(axis=0) + step > region.high_ras) & (np.array(region.high_ras) < corners_ras.max(axis=0))
    return np.stack([low, high])
