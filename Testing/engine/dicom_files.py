"""DICOM files as others write them, by pydicom and highdicom: series of single slices, enhanced files, segmentations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import SegmentDescription
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from mednextseg.geometry import LPS_FROM_RAS, Geometry

CT, ENHANCED_CT, ENHANCED_MR = (
    UID("1.2.840.10008.5.1.4.1.1.2"),
    UID("1.2.840.10008.5.1.4.1.1.2.1"),
    UID("1.2.840.10008.5.1.4.1.1.4.1"),
)


def placed(
    shape_kji: Sequence[int],
    spacing_ijk: Sequence[float],
    angles: Sequence[float] = (0, 0, 0),
    origin: Sequence[float] = (-20, 30, -40),
) -> Geometry:
    """A grid whose axes are turned by `angles` (degrees about x, y, z) against LPS; as in every series, K is I x J."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.array(spacing_ijk)
    matrix[:3, 3] = origin
    return Geometry(tuple(shape_kji), LPS_FROM_RAS @ matrix)


def write_slices(
    folder: Path,
    volume_kji: np.ndarray,
    geometry: Geometry,
    order: Sequence[int] | None = None,
    tags: Mapping[str, object] | None = None,
) -> Path:
    """A CT series, one file a slice.

    Args:
        order: the number in its file's name of each slice; None for that of the slices.
        tags: keyword -> value of entries to add to every file, or to leave out where the value is None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = _common(CT, tags)
    for k, plane in enumerate(volume_kji):
        file = _copy(common)
        file.SOPInstanceUID = generate_uid()
        file.InstanceNumber = k + 1
        file.ImagePositionPatient = _numbers(_position(geometry, k))
        file.ImageOrientationPatient = _numbers(_directions(geometry))
        file.PixelSpacing = _numbers(geometry.spacing_ijk_mm[1::-1])
        file.SliceThickness = _numbers(geometry.spacing_ijk_mm[2:])[0]
        _save(file, plane, folder / f"IM{k if order is None else order[k]:03d}", tags)
    return folder


def write_enhanced(
    path: Path,
    volume_kji: np.ndarray,
    geometry: Geometry,
    order: Sequence[int] | None = None,
    tags: Mapping[str, object] | None = None,
    sop_class: UID = ENHANCED_MR,
) -> Path:
    """One file with all slices; frame n shows slice order[n]."""
    order = list(range(len(volume_kji)) if order is None else order)
    file = _common(sop_class, tags)
    file.SOPInstanceUID = generate_uid()
    file.InstanceNumber, file.NumberOfFrames = 1, len(order)
    shared = Dataset()
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing = _numbers(geometry.spacing_ijk_mm[1::-1])
    measures.SliceThickness = measures.SpacingBetweenSlices = _numbers(geometry.spacing_ijk_mm[2:])[0]
    plane.ImageOrientationPatient = _numbers(_directions(geometry))
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    file.SharedFunctionalGroupsSequence = [shared]
    file.PerFrameFunctionalGroupsSequence = [_frame(geometry, number, k) for number, k in enumerate(order, start=1)]
    _save(file, volume_kji[order], path, tags)
    return path


def others_seg(series: Path, masks: np.ndarray, kind: str = "BINARY") -> pydicom.Dataset:
    """By highdicom, without our writer; masks are (K, J, I, segments), or (K, J, I) numbers."""
    images = sorted((pydicom.dcmread(file) for file in series.iterdir()), key=lambda image: int(image.InstanceNumber))
    count = masks.shape[3] if masks.ndim == 4 else int(masks.max())
    items = [SegmentDescription(n, f"part {n}", codes.SCT.Organ, codes.SCT.Liver, "MANUAL") for n in range(1, count + 1)]
    uid = highdicom.UID
    return highdicom.seg.Segmentation(images, masks, kind, items, uid(), 7, uid(), 1, "Other", "Program", "2", "0")


def saved(dataset: pydicom.Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def _frame(geometry: Geometry, number: int, k: int) -> Dataset:
    frame, content, place = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", k + 1, [1, k + 1]
    content.TemporalPositionIndex = 1
    place.ImagePositionPatient = _numbers(_position(geometry, k))
    frame.FrameContentSequence, frame.PlanePositionSequence = [content], [place]
    return frame


def _common(sop_class: UID, tags: Mapping[str, object] | None) -> Dataset:
    file = Dataset()
    file.SOPClassUID, file.Modality = sop_class, "MR" if sop_class == ENHANCED_MR else "CT"
    file.SpecificCharacterSet = "ISO_IR 192"
    file.PatientName, file.PatientID, file.PatientBirthDate, file.PatientSex = "Müller^Jörg", "P-7", "19610203", "M"
    file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    file.StudyDate, file.StudyTime, file.StudyID, file.AccessionNumber = "20260102", "101112", "S1", "A1"
    file.ReferringPhysicianName, file.StudyDescription, file.SeriesNumber = "Who^Dr", "Head", 4
    file.Manufacturer, file.PositionReferenceIndicator = "Scanner", ""
    for keyword, value in (tags or {}).items():
        if value is not None:
            setattr(file, keyword, value)
    return file


def _copy(file: Dataset) -> Dataset:
    copy = Dataset()
    copy.update(file)
    return copy


def _save(file: Dataset, voxels: np.ndarray, path: Path, tags: Mapping[str, object] | None) -> None:
    file.Rows, file.Columns = voxels.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, 1
    file.RescaleIntercept, file.RescaleSlope = 0, 1
    file.PixelData = np.ascontiguousarray(voxels, dtype="<i2").tobytes()
    for keyword in [keyword for keyword, value in (tags or {}).items() if value is None]:
        if keyword in file:
            delattr(file, keyword)
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.file_meta.MediaStorageSOPInstanceUID = file.get("SOPInstanceUID", generate_uid())
    file.save_as(path, enforce_file_format=True)


def _position(geometry: Geometry, k: int) -> np.ndarray:
    return (LPS_FROM_RAS @ geometry.ijk_to_ras @ [0, 0, k, 1])[:3]


def _directions(geometry: Geometry) -> np.ndarray:
    return (LPS_FROM_RAS[:3, :3] @ geometry.directions_ras)[:, :2].T.ravel()


def _numbers(values: Sequence[float]) -> list[str]:
    """Decimal strings of DICOM, which hold 16 characters."""
    return [f"{float(value):.10f}"[:16] for value in values]
