"""A segmentation as Slicer keeps it: segments that may overlap, in as many labelmaps (layers) as that takes.

.seg.nrrd in and out, DICOM segmentations in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from mednextseg.dicom_frames import is_dicom
from mednextseg.dicom_seg.reading import read_dicom_labels, read_dicom_seg
from mednextseg.geometry import Geometry
from mednextseg.json_values import listed
from mednextseg.labels.label import Label
from mednextseg.segment_table import Segment, header_of, new_segments, other_fields, segments_of
from mednextseg.volume_io import entries_of, image_of, read_layers, squared, write_image

_GRAY = (128, 128, 128)
_SAME_GRID_MM = 1e-2


@dataclass(frozen=True)
class LayeredSegmentation:
    """Layers and the table of what is in them.

    Attributes:
        layers_kji: (layers, K, J, I) whole numbers.
        segments: rows of the table, in the file's order; each says its layer and its value there.
        fields: what the header says beside the table; None where there was none.
    """

    layers_kji: np.ndarray
    geometry: Geometry
    segments: tuple[Segment, ...]
    fields: Mapping[str, str] | None = field(default=None)

    def index_of(self, text: str) -> int:
        """The place in the table of the segment with this ID or name.

        Raises:
            ValueError: where there is none, or where several have the name.
        """
        found = [n for n, s in enumerate(self.segments) if s.id == text] or [
            n for n, s in enumerate(self.segments) if s.label.name == text
        ]
        if not found:
            names = listed(segment.label.name for segment in self.segments) or "none"
            raise ValueError(f'no segment "{text}"; its segments are: {names}.')
        if len(found) > 1:
            ids = listed(self.segments[n].id for n in found)
            raise ValueError(f'{len(found)} segments of the name "{text}"; give the ID of one: {ids}.')
        return found[0]

    def mask_kji(self, index: int) -> np.ndarray:
        """The voxels of one segment, as truth values."""
        return self.layers_kji[self.segments[index].layer] == self.segments[index].label.value

    def overlapping_voxels(self) -> int:
        """How many voxels belong to more than one segment."""
        if len(self.layers_kji) == 1:
            return 0
        return int((sum(self.mask_kji(index).astype(np.uint8) for index in range(len(self.segments))) > 1).sum())

    def with_mask(self, index: int, mask_kji: np.ndarray) -> "LayeredSegmentation":
        """The segmentation with other voxels for one segment and none of the others changed.

        Where the segment now overlaps another of its layer, it moves to a layer of its own, as in Slicer.
        """
        segment, layers_kji = self.segments[index], self.layers_kji.copy()
        own_kji = layers_kji[segment.layer]
        own_kji[own_kji == segment.label.value] = 0
        if (own_kji[mask_kji] != 0).any():
            segment = replace(segment, layer=len(layers_kji))
            layers_kji = np.concatenate([layers_kji, np.zeros_like(layers_kji[:1])])
        layers_kji[segment.layer][mask_kji] = segment.label.value
        return replace(self, layers_kji=layers_kji, segments=(*self.segments[:index], segment, *self.segments[index + 1 :]))

    def reaching(self, geometry: Geometry) -> "LayeredSegmentation":
        """The segmentation on the whole of this grid where its own is a part of it (DICOM leaves out empty slices), else unchanged."""
        start_kji = np.round(geometry.ijk_from_ras(self.geometry.ijk_to_ras[:3, 3]))[::-1].astype(int)
        stop_kji = start_kji + self.geometry.shape_kji
        inside = (start_kji >= 0).all() and (stop_kji <= geometry.shape_kji).all()
        if not inside or not geometry.cropped(start_kji, stop_kji).matches(self.geometry, _SAME_GRID_MM):
            return self
        layers_kji = np.zeros((len(self.layers_kji), *geometry.shape_kji), self.layers_kji.dtype)
        box = tuple(slice(a, b) for a, b in zip(start_kji, stop_kji, strict=True))
        layers_kji[(slice(None), *box)] = self.layers_kji
        return replace(self, layers_kji=layers_kji, geometry=geometry)


def read_layered(path: str | Path) -> LayeredSegmentation:
    """Read a .seg.nrrd with all it says, a DICOM segmentation, or any label volume (whose labels are then named by their numbers).

    Raises:
        FileNotFoundError, ValueError: where there is no such file or it is no labelmap.
    """
    if is_dicom(path):
        layers_kji, geometry, labels = read_dicom_seg(path)
        rows = new_segments([label for label, _ in labels])
        segments = tuple(replace(row, layer=layer) for row, (_, layer) in zip(rows, labels, strict=True))
        return LayeredSegmentation(layers_kji, squared(Path(path), geometry), segments)
    layers_kji, geometry, header = read_layers(path)
    if not np.issubdtype(layers_kji.dtype, np.integer):
        whole_kji = np.round(layers_kji)
        if not np.array_equal(layers_kji, whole_kji) or np.abs(whole_kji).max() > np.iinfo(np.int32).max:
            raise ValueError(f"{path} holds values that are no whole numbers; give a labelmap.")
        layers_kji = whole_kji.astype(np.int32)
    if layers_kji.size and layers_kji.min() < 0:
        raise ValueError(f"{path} holds negative numbers; give a labelmap, in which 0 is what belongs to no structure.")
    try:
        segments = segments_of(header)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a segmentation: {error}.") from error
    if any(not 0 <= segment.layer < len(layers_kji) for segment in segments):
        raise ValueError(f"{path} names a layer that it does not have ({len(layers_kji)} are there); save it again.")
    if segments:
        return LayeredSegmentation(layers_kji, geometry, segments, other_fields(header))
    if len(layers_kji) > 1:
        raise ValueError(f"{path} has {len(layers_kji)} values a voxel and no table of segments; give a labelmap.")
    labels = [Label(int(v), str(int(v)), _GRAY) for v in np.unique(layers_kji) if v]
    return LayeredSegmentation(layers_kji, geometry, new_segments(labels))


def write_layered(path: str | Path, segmentation: LayeredSegmentation) -> None:
    """Write a .seg.nrrd: layers, IDs, tags, order, names and colors as they are.

    Raises:
        ValueError: for a sheared grid.
        OSError: where the file cannot be written; an old file of that name is then unchanged.
    """
    layers_kji = segmentation.layers_kji
    image = image_of(layers_kji[0] if len(layers_kji) == 1 else np.moveaxis(layers_kji, 0, -1), segmentation.geometry)
    rows = segmentation.segments
    boxes = [ndimage.find_objects(layer_kji.astype(np.int32, copy=False)) for layer_kji in layers_kji]
    extents = [_extent(boxes[row.layer][row.label.value - 1 : row.label.value]) for row in rows]
    for key, text in header_of(rows, extents, segmentation.fields).items():
        image.SetMetaData(key, text)
    write_image(image, path)


def read_table(path: str | Path) -> tuple[Segment, ...]:
    """The table of a .seg.nrrd or a DICOM segmentation from its header alone; empty for a plain label volume.

    Raises:
        ValueError: for a file that is no image.
    """
    if is_dicom(path):
        return new_segments(read_dicom_labels(path))
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        header.ReadImageInformation()
        return segments_of(entries_of(header))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a segmentation ({str(error).strip().splitlines()[-1]}).") from error


def _extent(boxes: list[tuple[slice, ...] | None]) -> str:
    """ "i0 i1 j0 j1 k0 k1" of the box of a segment; ends before its starts where there is none."""
    if not boxes or boxes[0] is None:
        return "0 -1 0 -1 0 -1"
    return " ".join(f"{side.start} {side.stop - 1}" for side in boxes[0][::-1])
