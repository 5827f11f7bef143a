"""Skip map: what of a volume the network did not look at, or less often than a run over every window would have."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.prepared_volume import PreparedVolume
from mednextseg.segment.windows.layout import Shape
from mednextseg.segment.windows.policy import Crop, Decided, Other

# While maps are put together: what lies outside a map was never looked at.
_NEVER, _LESS, _ALWAYS = 0, 1, 2
_LABEL_OF = np.array([1, 2, 0], dtype=np.uint8)


@dataclass(frozen=True)
class LookedAt:
    """Which windows of a prepared volume one network looked at.

    Attributes:
        prepared: the way back to the volume's grid.
        patch_kji: of a window.
        decisions: on every window of the grid, which is padded to a patch at least.
    """

    prepared: PreparedVolume
    patch_kji: Shape
    decisions: Sequence[Decided]

    def codes_kji(self) -> np.ndarray:
        """uint8 on the volume's grid: never, less often, or by every window."""
        shape_kji = self.prepared.network_geometry.shape_kji
        padded = [max(n, p) for n, p in zip(shape_kji, self.patch_kji, strict=True)]
        looked, skipped = np.zeros(padded, dtype=bool), np.zeros(padded, dtype=bool)
        for window, decision in self.decisions:
            box = window.slices(self.patch_kji)
            if decision == "full" or isinstance(decision, Other):
                looked[box] = True
                continue
            inside = np.zeros(self.patch_kji, dtype=bool)
            if isinstance(decision, Crop):
                inside[tuple(slice(o, o + n) for o, n in zip(decision.offset_kji, decision.size_kji, strict=True))] = True
            looked[box] |= inside
            skipped[box] |= ~inside
        offset = [(p - n) // 2 for n, p in zip(shape_kji, padded, strict=True)]
        inner = tuple(slice(o, o + n) for o, n in zip(offset, shape_kji, strict=True))
        codes = np.where(looked[inner], np.where(skipped[inner], _LESS, _ALWAYS), _NEVER).astype(np.uint8)
        return self.prepared.restore(_on_crop(codes, self.prepared))


def skip_map(runs: Sequence[Sequence[LookedAt]], geometry: Geometry) -> np.ndarray:
    """Numbers of SKIP_LABELS (skip_labels.py) on the volume's grid, uint8; 0 where every window looked.

    Args:
        runs: each in a place of its own, with the networks that ran there one after the other.
        geometry: of the volume.
    """
    codes = np.zeros(geometry.shape_kji, dtype=np.uint8)
    for parts in runs:
        maps = [part.codes_kji() for part in parts]
        if maps:
            least, most = np.minimum.reduce(maps), np.maximum.reduce(maps)
            codes = np.maximum(codes, np.where((least < most) & (least == _NEVER), _LESS, least))
    return _LABEL_OF[codes]


def _on_crop(codes_kji: np.ndarray, prepared: PreparedVolume) -> np.ndarray:
    """Codes of the network's grid at the nearest voxels of the crop."""
    grid = prepared.resampled or prepared.network_geometry
    if prepared.seen is not None:
        whole = np.zeros(grid.shape_kji, dtype=np.uint8)
        whole[prepared.seen.slices] = codes_kji
        codes_kji = whole
    lines = prepared.lines_kji or [
        ((n / m - 1) / 2, n / m) for n, m in zip(grid.shape_kji, prepared.crop_geometry.shape_kji, strict=True)
    ]
    for axis, (start, step) in enumerate(lines):
        places = np.rint(start + step * np.arange(prepared.crop_geometry.shape_kji[axis])).astype(int)
        codes_kji = codes_kji.take(places.clip(0, grid.shape_kji[axis] - 1), axis=axis)
    return codes_kji
