"""Volumes with objects in memory: what the completing network learns from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from mednextseg.adapt.click_net.recipe import ClickNetSource
from mednextseg.adapt.click_net.sources import volume_files
from mednextseg.volume_io import read_volume

_LEAST_VOXELS = 40  # of an object
_LEAST_SLICES = 3  # of a volume: fewer show no third dimension
_MOST_SHARE = 0.3  # of the volume: what is larger is no object but its background


@dataclass(frozen=True, eq=False)
class ObjectVolume:
    """One volume.

    Attributes:
        labels_kji: (K, J, I) uint16, numbered from 1; 0 is no object.
        image_kji: (K, J, I) float32; None where an image is to be painted on the labels.
        spacing_kji_mm: distance of voxel centers.
        display_ranges: intensities (black, white), of which one is drawn; empty for none.
    """

    labels_kji: np.ndarray
    image_kji: np.ndarray | None
    spacing_kji_mm: tuple[float, float, float]
    display_ranges: tuple[tuple[float, float], ...] = ()

    @cached_property
    def boxes(self) -> dict[int, tuple[slice, slice, slice]]:
        """Of each label that is an object, where it lies."""
        counts = np.bincount(self.labels_kji.ravel())
        found = enumerate(ndimage.find_objects(self.labels_kji.astype(np.int32)), start=1)
        most = _MOST_SHARE * self.labels_kji.size
        return {value: box for value, box in found if box is not None and _LEAST_VOXELS <= counts[value] <= most}


def object_volumes(source: ClickNetSource, data_folder: Path, part: str) -> Iterator[ObjectVolume]:
    """All volumes of one part ("train" or "val") of a set; those whose labels lie on another grid are left out.

    Args:
        source: of the kind "volumes" or "label_maps".
        data_folder: where source.folder lies.
    """
    for image, label, _case in volume_files(source, Path(data_folder) / source.folder, part):
        labels_kji, geometry = read_volume(label)
        image_kji, image_geometry = read_volume(image) if image is not None else (None, geometry)
        if min(geometry.shape_kji) < _LEAST_SLICES or not geometry.matches(image_geometry, tolerance_mm=0.5):
            continue
        image_kji = None if image_kji is None else image_kji.astype(np.float32)
        numbered = _numbered(labels_kji.astype(np.int64), source.objects)
        volume = ObjectVolume(numbered, image_kji, geometry.spacing_kji_mm, source.display_ranges_hu)
        if volume.boxes:
            yield volume


def _numbered(labels_kji: np.ndarray, objects: tuple[int, ...]) -> np.ndarray:
    values = np.unique(labels_kji[labels_kji > 0])
    values = values[np.isin(values, objects)] if objects else values
    table = np.zeros(int(max(labels_kji.max(), 0)) + 1, np.uint16)
    table[values] = np.arange(1, len(values) + 1)
    return table[np.maximum(labels_kji, 0)]
