"""A labelmap -> a DICOM segmentation: one segment a label, frames only where there is something, references to every source image."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mednextseg.dicom_frames import lenient
from mednextseg.dicom_seg.segment_items import Algorithm, check_name, item_of
from mednextseg.dicom_seg.source import DicomSource
from mednextseg.files import check_writable, write_bytes
from mednextseg.geometry import LPS_FROM_RAS, Geometry
from mednextseg.labels.label import Label

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

SEG_SUFFIX = ".dcm"
_MAKER, _SERIES_NUMBER = "MedNeXtSegment", 300


def names_dicom_seg(path: str | Path) -> bool:
    """Whether a DICOM segmentation is meant by this name of an output."""
    return Path(path).name.lower().endswith(SEG_SUFFIX)


def check_dicom_seg(
    path: Path, inputs: Sequence[Path], source: DicomSource, geometry: Geometry, labels: Sequence[Label], algorithm: Algorithm
) -> None:
    """Make sure, before a long run, that its segmentation can be written: one with a single voxel is made, and thrown away.

    Raises:
        ValueError, OSError: as `write_dicom_seg` and `mednextseg.files.check_writable`.
    """
    check_writable(path, (SEG_SUFFIX,), inputs)
    trial_kji = np.zeros(geometry.shape_kji, dtype=np.uint8)
    trial_kji[-1, -1, -1] = 1
    _dataset(source, trial_kji, geometry, [Label(1, labels[0].name, (0, 0, 0))], algorithm)
    for label in labels:
        check_name(label)


def write_dicom_seg(
    path: str | Path,
    labelmap_kji: np.ndarray,
    geometry: Geometry,
    labels: Sequence[Label],
    source: DicomSource,
    algorithm: Algorithm,
) -> None:
    """Write a DICOM segmentation, whole or not at all.

    Args:
        path: file that ends in .dcm.
        labelmap_kji, geometry: as the source's slices lie; values of no label are left out. Or a layer for each label (layers, K, J, I).
        labels: become segments 1, 2, ... in their order, those without a voxel included.
        source, algorithm: what it was made on, and by.
    Raises:
        ValueError: where the source cannot be referred to.
        OSError: where the file cannot be written; an old file of that name is then unchanged.
    """
    dataset = _dataset(source, labelmap_kji, geometry, labels, algorithm)
    content = BytesIO()  # pydicom makes errors of the disk its own, of many lines
    with lenient():
        dataset.save_as(content, enforce_file_format=True)
    write_bytes(path, content.getvalue())


def _dataset(
    source: DicomSource, labelmap_kji: np.ndarray, geometry: Geometry, labels: Sequence[Label], algorithm: Algorithm
) -> "Segmentation":
    from highdicom import UID  # noqa: PLC0415
    from highdicom.seg import Segmentation  # noqa: PLC0415

    from mednextseg import __version__  # noqa: PLC0415

    planes, numbers_kji = _filled(labelmap_kji, labels)
    place = _placement(geometry, planes)
    about = f"Segments by {algorithm.name} {algorithm.version}"[:64]
    with lenient():
        try:
            dataset = Segmentation(
                list(source.images),
                numbers_kji,
                "BINARY",
                [item_of(number, label, algorithm) for number, label in enumerate(labels, start=1)],
                UID(),
                _SERIES_NUMBER,
                UID(),
                1,
                manufacturer=_MAKER,
                manufacturer_model_name=_MAKER,
                software_versions=__version__,
                device_serial_number=algorithm.parameters.get("weights_sha256", "0")[:64],
                content_label="SEGMENTATION",
                content_description=about,
                content_creator_name=f"{_MAKER}^",
                series_description=about,
                specific_character_set="ISO_IR 192",
                further_source_images=list(source.others) or None,
                **place,
            )
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError(
                f"no DICOM segmentation can be made for this series ({' '.join(str(error).split()).rstrip('.')}); choose an output that "
                "ends in .seg.nrrd."
            ) from error
        # Where slices are missing, readers need it to see the gaps.
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = place["pixel_measures"][
            0
        ].SpacingBetweenSlices
    return dataset


def _filled(labelmap_kji: np.ndarray, labels: Sequence[Label]) -> tuple[np.ndarray, np.ndarray]:
    """Which slices hold something (the first where none does), and those slices: numbers of segments, or a channel for each (last)."""
    if labelmap_kji.ndim == 4:
        masks = np.moveaxis(labelmap_kji > 0, 0, -1)
        planes = np.flatnonzero(masks.any(axis=(1, 2, 3)))
        planes = planes if len(planes) else np.array([0])
        return planes, masks[planes].astype(np.uint8)
    number_of = np.zeros(
        max(int(labelmap_kji.max()), *(label.value for label in labels)) + 1, np.uint8 if len(labels) < 256 else np.uint16
    )
    number_of[[label.value for label in labels]] = range(1, len(labels) + 1)
    filled = {k: plane for k in range(len(labelmap_kji)) if (plane := number_of[labelmap_kji[k]]).any()}
    filled = filled or {0: number_of[labelmap_kji[0]]}
    return np.array(list(filled)), np.stack(list(filled.values()))


def _placement(geometry: Geometry, planes: np.ndarray) -> dict[str, object]:
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence  # noqa: PLC0415

    lps = LPS_FROM_RAS @ geometry.ijk_to_ras
    spacing_i, spacing_j, spacing_k = geometry.spacing_ijk_mm.tolist()
    directions = (lps[:3, :2] / geometry.spacing_ijk_mm[:2]).T.ravel().tolist()
    return {
        "pixel_measures": PixelMeasuresSequence([spacing_j, spacing_i], spacing_k, spacing_k),
        "plane_orientation": PlaneOrientationSequence("PATIENT", directions),
        "plane_positions": [PlanePositionSequence("PATIENT", (lps @ [0, 0, k, 1])[:3].tolist()) for k in planes],
    }
