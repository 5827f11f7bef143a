"""What the network gets to see of a volume, and the way back to the grid the volume came on."""

from dataclasses import dataclass, replace

import numpy as np

from mednextseg.geometry import AxisMap, Geometry
from mednextseg.segment.prepare.resampling import resample_affine


@dataclass(frozen=True)
class IndexBox:
    """A half-open box of voxel indices along K, J, I."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))


@dataclass(frozen=True)
class PreparedVolume:
    """The network's input and the way back.

    Attributes:
        image_ckji: float32 on `network_geometry`.
        source: the grid the volume came on, and the labels go back to.
        turned: the grid after turning to the network's axes (or after rotating, see `rotated`).
        turn: from stored to network axes; the identity where `rotated`.
        rotated: the volume was interpolated onto anatomical axes, so labels go back by interpolation too.
        crop: the part of `turned` that the network gets to see.
        coarse_axis: along which images and labels are taken from the nearest slice; None where all axes are interpolated.
        resampled: the grid of the resampled crop, where the network saw only the part `seen` of it; else None.
        lines_kji: where voxels of `crop_geometry` lie on the resampled grid, as (start, step) along each axis; None for grids that share
            their outer edges.
        single_precision: positions of nearest labels are counted in float32.
        air_below: of each channel, in the intensities of the image: values below are air; None where the card does not tell.
    """

    image_ckji: np.ndarray
    network_geometry: Geometry
    source: Geometry
    turned: Geometry
    turn: AxisMap
    rotated: bool
    crop: IndexBox
    coarse_axis: int | None = None
    resampled: Geometry | None = None
    seen: IndexBox | None = None
    lines_kji: tuple[tuple[float, float], ...] | None = None
    single_precision: bool = False
    air_below: tuple[float, ...] | None = None

    @property
    def crop_geometry(self) -> Geometry:
        return self.turned.cropped(self.crop.start, self.crop.stop)

    def without_image(self) -> "PreparedVolume":
        """The way back alone, without the memory of the image."""
        return replace(self, image_ckji=np.empty((0, *self.network_geometry.shape_kji), dtype=np.float32))

    def restore(self, labelmap_kji: np.ndarray) -> np.ndarray:
        """Labels on `crop_geometry` -> labels on `source`; voxels outside the crop are background. Same dtype."""
        turned = labelmap_kji
        if self.crop != whole(self.turned):
            turned = np.zeros(self.turned.shape_kji, dtype=labelmap_kji.dtype)
            turned[self.crop.slices] = labelmap_kji
        if not self.rotated:
            return np.ascontiguousarray(self.turn.invert(turned))
        return resample_labels(turned, self.turned, self.source)


def whole(geometry: Geometry) -> IndexBox:
    """The box of all voxels."""
    return IndexBox((0, 0, 0), geometry.shape_kji)


def resample_labels(labelmap_kji: np.ndarray, source: Geometry, target: Geometry) -> np.ndarray:
    """Labels at the voxel centers of any other grid: each label's membership is interpolated linearly, the largest wins.

    Outside the source is background. Same dtype.
    """
    best = np.full(target.shape_kji, 0.5, dtype=np.float32)
    labels = np.zeros(target.shape_kji, dtype=labelmap_kji.dtype)
    for value in np.unique(labelmap_kji):
        if value:
            padded = np.pad((labelmap_kji == value).astype(np.float32), 1)
            grown = source.cropped((-1, -1, -1), tuple(n + 1 for n in source.shape_kji))
            membership = resample_affine(padded, grown, target, order=1)
            wins = membership >= best
            labels[wins], best[wins] = value, membership[wins]
    return labels
