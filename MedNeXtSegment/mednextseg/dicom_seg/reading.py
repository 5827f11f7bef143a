"""A DICOM segmentation, ours or another program's -> labelmaps, by what each of its frames says of itself."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mednextseg.dicom_frames import functional_group, is_dicom, lenient, numbers_in, open_dicom
from mednextseg.dicom_seg.segment_items import label_of
from mednextseg.dicom_series import images_in
from mednextseg.geometry import LPS_FROM_RAS, Geometry
from mednextseg.labels.label import Label

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LOG = logging.getLogger(__name__)
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_SAME_MM, _SAME_DIRECTION, _EVEN = 1e-2, 1e-3, 0.05
_MOST_SLICES = 20_000
_RUN = "run="


def read_dicom_seg(path: str | Path) -> tuple[np.ndarray, Geometry, tuple[tuple[Label, int], ...]]:
    """Read the segments of a DICOM segmentation.

    Returns:
        (layers, K, J, I) whole numbers, as many layers as overlaps take; their grid, which reaches from the first to the last frame that
        is in the file; and each label (its value is the segment's number) with its layer. Fractions count from a half on, which is
        logged.
    Raises:
        ValueError: in one sentence, for another DICOM object, frames that do not lie on one grid or do not say where, and voxels that
            are cut off or cannot be decoded.
    """
    dataset = _opened(path, with_voxels=True)
    try:
        with lenient():
            return _read(path, dataset)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        text = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"the DICOM segmentation {path} cannot be read: {text}.") from error


def read_dicom_labels(path: str | Path) -> tuple[Label, ...]:
    """The labels of a DICOM segmentation without its voxels; ValueError as `read_dicom_seg`."""
    with lenient():
        return tuple(label_of(item) for item in _opened(path).SegmentSequence if int(item.SegmentNumber) > 0)


def run_of(path: str | Path) -> str | None:
    """The run that a DICOM segmentation says it is of; None where it does not, or is none."""
    try:
        with lenient():
            (algorithm,) = _opened(path).SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
            parts = str(algorithm.get("AlgorithmParameters", "")).split(",")
    except (ValueError, AttributeError, IndexError):
        return None
    return next((part.removeprefix(_RUN) for part in parts if part.startswith(_RUN)), None)


def lie_apart(first: Path, second: Path) -> bool:
    """Whether two files or series say that they are of different frames of reference, so that their millimeters cannot be compared."""
    found = []
    for path in (first, second):
        file = next((file for _, file in images_in(path)), None) if path.is_dir() else path
        frame = open_dicom(file).get("FrameOfReferenceUID") if file is not None and is_dicom(file) else None
        found.append(frame or None)
    return None not in found and found[0] != found[1]


def _opened(path: str | Path, with_voxels: bool = False) -> "Dataset":
    dataset = open_dicom(path, with_voxels)
    if dataset.get("SOPClassUID") not in _SEGMENTATIONS or not dataset.get("SegmentSequence"):
        kind = getattr(dataset.get("SOPClassUID"), "name", "of no kind")
        raise ValueError(f"{path} is no DICOM segmentation ({kind}); give a SEG object, a .seg.nrrd, or a label volume.")
    return dataset


def _read(path: str | Path, dataset: "Dataset") -> tuple[np.ndarray, Geometry, tuple[tuple[Label, int], ...]]:
    frames = int(dataset.NumberOfFrames)
    geometry, slice_of = _grid(dataset, frames)
    labels = {int(item.SegmentNumber): label_of(item) for item in dataset.SegmentSequence if int(item.SegmentNumber) > 0}
    frame_ji = _decoder(dataset)
    dtype = np.uint8 if max(labels, default=0) < 256 else np.uint16
    if dataset.get("SegmentationType") == "LABELMAP":
        layer_kji = np.zeros(geometry.shape_kji, dtype)
        for number in range(frames):
            layer_kji[slice_of[number]] = frame_ji(number)
        return layer_kji[None], geometry, tuple((label, 0) for label in labels.values())
    threshold = 1
    if dataset.get("SegmentationType") == "FRACTIONAL":
        threshold = int(dataset.get("MaximumFractionalValue") or 255) / 2
        _LOG.warning("%s holds fractions; voxels of at least a half were taken.", path)
    frames_of: dict[int, list[int]] = {number: [] for number in labels}
    for number in range(frames):
        frames_of[_segment_of(dataset, number, labels)].append(number)
    layers: list[np.ndarray] = []
    layer_of: dict[int, int] = {}
    for segment, own in frames_of.items():
        masks = [(slice_of[number], frame_ji(number) >= threshold) for number in own]
        free = (n for n, layer_kji in enumerate(layers) if not any(layer_kji[k][mask].any() for k, mask in masks))
        layer_of[segment] = next(free, len(layers))
        if layer_of[segment] == len(layers):
            layers.append(np.zeros(geometry.shape_kji, dtype))
        for k, mask in masks:
            layers[layer_of[segment]][k][mask] = segment
    return np.stack(layers), geometry, tuple((label, layer_of[number]) for number, label in labels.items())


def _segment_of(dataset: "Dataset", number: int, labels: dict[int, Label]) -> int:
    group = functional_group(dataset, number, "SegmentIdentificationSequence")
    segment = next(iter(labels)) if group is None and len(labels) == 1 else int(group.ReferencedSegmentNumber)
    if segment not in labels:
        raise ValueError(f"frame {number + 1} belongs to segment {segment}, which it does not describe")
    return segment


def _grid(dataset: "Dataset", frames: int) -> tuple[Geometry, Sequence[int]]:
    """The grid from the first to the last frame, and the slice of each frame on it."""
    groups = {keyword: [functional_group(dataset, n, f"{keyword}Sequence") for n in range(frames)] for keyword in _GROUPS}
    positions, orientations, spacings = (
        [numbers_in(group, entry, count) for group in groups[keyword]] for keyword, (entry, count) in _GROUPS.items()
    )
    if not frames or any(part is None for part in (*positions, *orientations, *spacings)):
        raise ValueError("it does not say where its frames lie in the patient")
    places, orientation, (spacing_j, spacing_i) = np.array(positions), orientations[0], spacings[0]
    if np.abs(np.array(orientations) - orientation).max() > _SAME_DIRECTION or not np.allclose(
        spacings, spacings[0], rtol=1e-3
    ):
        raise ValueError("its frames differ in direction or spacing")
    normal = np.cross(orientation[:3], orientation[3:])
    along_mm = places @ normal
    slice_of, step_mm = _evenly(along_mm, groups["PixelMeasures"][0])
    first, last = int(along_mm.argmin()), int(along_mm.argmax())
    step = (places[last] - places[first]) / slice_of[last] if slice_of[last] else normal * step_mm
    off_mm = np.abs(places[first] + slice_of[:, None] * step - places).max()
    if off_mm > max(_SAME_MM, _EVEN * step_mm):
        raise ValueError(f"its frames lie up to {off_mm:.3g} mm beside an even grid")
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = orientation[:3] * spacing_i, orientation[3:] * spacing_j
    matrix[:3, 2], matrix[:3, 3] = step, places[first]
    shape_kji = (int(slice_of.max()) + 1, int(dataset.Rows), int(dataset.Columns))
    return Geometry(shape_kji, LPS_FROM_RAS @ matrix), slice_of.tolist()


_GROUPS = {
    "PlanePosition": ("ImagePositionPatient", 3),
    "PlaneOrientation": ("ImageOrientationPatient", 6),
    "PixelMeasures": ("PixelSpacing", 2),
}


def _evenly(along_mm: np.ndarray, measures: "Dataset") -> tuple[np.ndarray, float]:
    """The slice of each frame, from 0 on, and how far slices are apart: as the file says where that fits, else the smallest gap."""
    from_first_mm = along_mm - along_mm.min()
    gaps_mm = np.diff(np.sort(from_first_mm))
    gaps_mm = gaps_mm[gaps_mm > _SAME_MM]
    said = [numbers_in(measures, keyword, 1) for keyword in ("SpacingBetweenSlices", "SliceThickness")]
    said_mm = [float(number[0]) for number in said if number is not None and number[0] > _SAME_MM]
    if not gaps_mm.size:
        return np.zeros(len(along_mm), int), (said_mm or [1.0])[0]
    for step_mm in [*said_mm[:1], float(gaps_mm.min())]:
        steps = from_first_mm / step_mm
        if np.abs(steps - np.round(steps)).max() <= _EVEN and steps.max() < _MOST_SLICES:
            return np.round(steps).astype(int), step_mm
    raise ValueError("its frames lie unevenly apart")


def _decoder(dataset: "Dataset") -> Callable[[int], np.ndarray]:
    """A function from a frame's number (from 0) to its voxels (J, I) as they are stored."""
    shape_ji, bits = (int(dataset.Rows), int(dataset.Columns)), int(dataset.BitsAllocated)
    if "PixelData" not in dataset:
        raise ValueError("it has no voxels")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return _decompressed(dataset).__getitem__
    if bits not in (1, 8, 16):
        raise ValueError(f"its voxels take {bits} bits, and 1, 8 or 16 are known")
    content, count = np.frombuffer(dataset.PixelData, np.uint8), shape_ji[0] * shape_ji[1]
    if content.size * 8 < int(dataset.NumberOfFrames) * count * bits:
        raise ValueError("it is cut off")

    def frame(number: int) -> np.ndarray:
        start, skip = divmod(number * count * bits, 8)
        part = content[start : start + -(-(skip + count * bits) // 8)]
        if bits == 1:
            part = np.unpackbits(part, bitorder="little")[skip : skip + count]
        return part.view(np.uint16 if bits == 16 else np.uint8).reshape(shape_ji)

    return frame


def _decompressed(dataset: "Dataset") -> list[np.ndarray]:
    from pydicom.pixels import iter_pixels  # noqa: PLC0415

    try:
        return list(iter_pixels(dataset, raw=True))
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        raise ValueError(
            f"its voxels are compressed ({dataset.file_meta.TransferSyntaxUID.name}) and nothing here decodes them; save it uncompressed"
        ) from error
