"""Labelmaps with names in files: Slicer's .seg.nrrd in and out, and plain label volumes out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mednextseg.files import check_writable
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.layered_segmentation import LayeredSegmentation, read_layered, read_table, write_layered
from mednextseg.segment_table import NEW_FILE_FIELDS, new_segments
from mednextseg.volume_io import image_of, write_image

_LOG = logging.getLogger(__name__)
TABLE_SUFFIX = ".seg.nrrd"
OUTPUT_SUFFIXES = (TABLE_SUFFIX, ".nii.gz", ".nii", ".nrrd", ".mha")
# zlib makes at most this much of equal bytes into one.
_BEST_COMPRESSION = 1032


@dataclass(frozen=True)
class Segmentation:
    """A labelmap and the meaning of its values.

    Attributes:
        labelmap_kji: integer labels; where a file has several layers, later layers lie over earlier ones.
        labels: name, color and terminology of each value.
    """

    labelmap_kji: np.ndarray
    geometry: Geometry
    labels: tuple[Label, ...] = field(default_factory=tuple)


def check_output(
    path: str | Path, inputs: Sequence[str | Path] = (), geometry: Geometry | None = None, labels_overlap: bool = False
) -> None:
    """Make sure, before a long run, that a segmentation can be written here and none of the inputs is written over.

    Args:
        path: the file to be.
        inputs: files and folders that are read.
        geometry: the grid to be written, where it is known: the disk must have room for the least it can take.
        labels_overlap: whether the segments share voxels, which one labelmap cannot hold.
    Raises:
        ValueError, FileNotFoundError, PermissionError, OSError: as `check_writable`.
    """
    needed_bytes = 1
    if geometry is not None:
        voxels = int(np.prod(geometry.shape_kji))
        needed_bytes = voxels if str(path).lower().endswith(".nii") else voxels // _BEST_COMPRESSION + 1
    if labels_overlap and not has_table(path):
        raise ValueError(
            f"the segments overlap, which {Path(path).name} cannot hold; choose an output that ends in {TABLE_SUFFIX} (or .dcm for a "
            "DICOM series)."
        )
    check_writable(path, OUTPUT_SUFFIXES, inputs, needed_bytes)


def write_segmentation(
    path: str | Path,
    labelmap_kji: np.ndarray,
    geometry: Geometry,
    labels: Sequence[Label],
    fields: Mapping[str, str] | None = None,
) -> None:
    """Write labels; a name ending in .seg.nrrd gets the table of segments, any other image format the plain labels.

    Args:
        path, geometry, labels: what is written, and where.
        labelmap_kji: (K, J, I), or a layer for each label (layers, K, J, I).
        fields: more entries for the header of a .seg.nrrd.
    Raises:
        ValueError: for a sheared grid or a file format that cannot be written.
        OSError: where the file cannot be written; an old file of that name is then unchanged.
    """
    is_layered = labelmap_kji.ndim == 4
    check_output(path, labels_overlap=is_layered)
    if has_table(path):
        rows = new_segments(labels)
        if is_layered:
            rows = tuple(replace(row, layer=layer) for layer, row in enumerate(rows))
        layers_kji = labelmap_kji if is_layered else labelmap_kji[None]
        write_layered(path, LayeredSegmentation(layers_kji, geometry, rows, {**NEW_FILE_FIELDS, **(fields or {})}))
    else:
        write_image(image_of(labelmap_kji, geometry), path)


def names_segmentation(path: str | Path) -> bool:
    """Whether a segmentation can be written under this name."""
    return str(path).lower().endswith(OUTPUT_SUFFIXES)


def has_table(path: str | Path) -> bool:
    """Whether a file of this name holds names and layers, and not the numbers of one labelmap alone."""
    return str(path).lower().endswith(TABLE_SUFFIX)


def read_segmentation(path: str | Path) -> Segmentation:
    """Read a .seg.nrrd with its names, or any label volume (whose labels are then named by their numbers).

    Where segments overlap, which one labelmap cannot hold, a warning is logged (`read_layered` keeps them).

    Raises:
        FileNotFoundError, ValueError: where there is no such file or it is no labelmap.
    """
    layered = read_layered(path)
    lost = layered.overlapping_voxels()
    if lost:
        _LOG.warning("%s: %d voxels belong to several segments; each went to the last of them.", path, lost)
    return merged(layered)


def read_segment_names(path: str | Path) -> tuple[str, ...]:
    """Names of the segments in a .seg.nrrd from its header alone; empty for a plain label volume.

    Raises:
        ValueError: for a file that is no image.
    """
    return tuple(segment.label.name for segment in read_table(path))


def merged(segmentation: LayeredSegmentation) -> Segmentation:
    """One labelmap; later segments lie over earlier ones, and values are renumbered where two layers use the same number."""
    layers_kji, segments = segmentation.layers_kji, segmentation.segments
    values = [segment.label.value for segment in segments]
    if len({segment.layer for segment in segments}) <= 1 and len(set(values)) == len(values):
        layer = segments[0].layer if segments else 0
        return Segmentation(layers_kji[layer], segmentation.geometry, tuple(segment.label for segment in segments))
    labelmap_kji = np.zeros(layers_kji.shape[1:], dtype=np.int16)
    labels = []
    for number, segment in enumerate(segments, start=1):
        labelmap_kji[segmentation.mask_kji(number - 1)] = number
        label = segment.label
        labels.append(Label(number, label.name, label.color, label.terminology))
    return Segmentation(labelmap_kji, segmentation.geometry, tuple(labels))
