"""The images that a DICOM segmentation refers to: their headers, complete enough to be copied from and pointed at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.dicom_frames import functional_group, is_dicom, lenient, need_packages, numbers_in, open_dicom
from mednextseg.dicom_series import images_in
from mednextseg.dicom_time_points import MOMENTS, time_points

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# What a reference is made of, and what the standard lets a file leave empty; anonymization often removes the latter.
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "Manufacturer",
    "PositionReferenceIndicator",
)


@dataclass(frozen=True)
class DicomSource:
    """Headers without voxels.

    Attributes:
        images: of the first channel, on whose grid the segments lie: the slices of a series, or one file with all of them.
        others: of further channels of the same study.
    """

    images: tuple["Dataset", ...]
    others: tuple["Dataset", ...] = ()


def read_source(inputs: Sequence[Path], time_point: int | None = None) -> DicomSource:
    """The source of a case, before it is segmented.

    Args:
        inputs: the files or folders of its channels; the first must be DICOM.
        time_point: which one is segmented of series with several, counted from 1.
    Raises:
        ValueError: in one sentence, for an input that is no DICOM, lacks what must be referred to, or refers to two images by one name;
            and where the packages are missing.
    """
    need_packages()
    images = _headers(Path(inputs[0]), time_point)
    others = [header for entry in inputs[1:] if _files(Path(entry)) for header in _headers(Path(entry), time_point)]
    return DicomSource(images, tuple(header for header in others if header.StudyInstanceUID == images[0].StudyInstanceUID))


def _headers(entry: Path, time_point: int | None) -> tuple["Dataset", ...]:
    files = _files(entry)
    if not files:
        raise ValueError(
            f"a DICOM segmentation refers to the series it was made on, and {entry} is no DICOM; give a DICOM series as input, or an "
            "output that ends in .seg.nrrd or .nii.gz."
        )
    found: dict[str, Dataset] = {}
    for file in files:
        header = _complete(open_dicom(file), file)
        other = found.setdefault(header.SOPInstanceUID, header)
        if other is not header and other.get("ImagePositionPatient") != header.get("ImagePositionPatient"):
            raise ValueError(
                f"several files in {entry} have one SOP Instance UID, so that nothing can refer to one of them; get the series again, or "
                "choose an output that ends in .seg.nrrd."
            )
    headers = list(found.values())
    if "PerFrameFunctionalGroupsSequence" not in headers[0]:
        headers = _of_one_time_point(headers, time_point)
        # Scanners round each file's directions for itself.
        for header in headers[1:]:
            header.ImageOrientationPatient = headers[0].get("ImageOrientationPatient")
    return tuple(headers)


def _of_one_time_point(headers: list["Dataset"], time_point: int | None) -> list["Dataset"]:
    """The images of the chosen time point, without a second copy of any; what is none is for the reading of the voxels to say."""
    places = [str(header.get("ImagePositionPatient")) for header in headers]
    moments = [tuple(_entry(header, tag) for tag in MOMENTS.values()) for header in headers]
    once = list({key: index for index, key in reversed(list(enumerate(zip(places, moments, strict=True))))}.values())[::-1]
    if len(set(places)) == len(once):
        return [headers[index] for index in once]
    numbers = [str(headers[index].get("InstanceNumber", "")) for index in once]
    points = time_points([places[index] for index in once], [moments[index] for index in once], numbers)
    chosen = range(len(once)) if points is None else points.chosen(time_point)
    return [headers[once[index]] for index in chosen]


def _entry(header: "Dataset", tag: str) -> str:
    """What a header says under a tag ("0020|0100"), as text."""
    element = header.get(int(tag.replace("|", ""), 16))
    return "" if element is None or element.value is None else str(element.value).strip()


def _files(entry: Path) -> list[Path]:
    if entry.is_dir():
        return [file for _, file in images_in(entry)]
    return [entry] if is_dicom(entry) else []


def _complete(header: "Dataset", file: Path) -> "Dataset":
    """The header with all that a segmentation copies: what may be empty is there, and what holds for all frames stands once."""
    with lenient():
        missing = [keyword for keyword in _REQUIRED if not header.get(keyword)]
        if missing:
            raise ValueError(
                f"{file} lacks its {missing[0]}, to which a DICOM segmentation must refer; get the series with it, or choose an output "
                "that ends in .seg.nrrd."
            )
        for keyword in _MAY_BE_EMPTY:
            if keyword not in header:
                setattr(header, keyword, "")
        _empty_odd_dates(header)
        if not header.get("Modality"):
            header.Modality = "OT"
        if header.get("PerFrameFunctionalGroupsSequence") or int(header.get("NumberOfFrames") or 1) > 1:
            _share_groups(header, file)
    return header


def _empty_odd_dates(header: "Dataset") -> None:
    """Dates and times that are none (anonymization writes years alone) cannot be copied; they may be empty."""
    from pydicom.valuerep import DA, TM  # noqa: PLC0415

    for keyword, form in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            form(header.get(keyword) or "")
        except (ValueError, TypeError):
            setattr(header, keyword, "")


def _share_groups(header: "Dataset", file: Path) -> None:
    """Orientation and spacing of an enhanced file moved to what its frames share; they may stand at each frame."""
    from pydicom.dataset import Dataset  # noqa: PLC0415

    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = [Dataset()]
    for keyword, entry, count in (
        ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        ("PixelMeasuresSequence", "PixelSpacing", 2),
    ):
        group = functional_group(header, 0, keyword)
        if numbers_in(group, entry, count) is None:
            raise ValueError(
                f"{file} does not say where its frames lie, so that no DICOM segmentation can be made for it; choose an output that ends "
                "in .seg.nrrd."
            )
        setattr(header.SharedFunctionalGroupsSequence[0], keyword, [group])
    groups = [functional_group(header, n, "PlanePositionSequence") for n in range(int(header.get("NumberOfFrames") or 1))]
    if len({str(group.get("ImagePositionPatient")) if group is not None else n for n, group in enumerate(groups)}) < len(
        groups
    ):
        raise ValueError(
            f"{file} holds several frames at one place (time points?), so that no DICOM segmentation can be made for it; choose an output "
            "that ends in .seg.nrrd."
        )
