"""DICOM files by pydicom: how they are opened, and where each frame of a multi-frame file lies.

Plain runs do without pydicom: series of single slices are ITK's. Nothing here imports it before a file asks for it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_PREAMBLE = 128


@dataclass(frozen=True)
class Frame:
    """Placement of one frame in LPS mm (spacing along I and J), its time point, and slope and intercept of its voxels, if it says so."""

    position: np.ndarray
    orientation: np.ndarray
    spacing_ij: tuple[float, float]
    moment: str
    scaling: tuple[str, str] | None


def is_dicom(path: str | Path) -> bool:
    """Whether this is a DICOM file, by its first bytes; a folder is none."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def holds_dicom(folder: Path) -> bool:
    """Whether a folder has DICOM files right in it; hidden ones do not count, nor do folders that cannot be read."""
    try:
        return not folder.name.startswith(".") and any(is_dicom(f) for f in folder.iterdir() if not f.name.startswith("."))
    except OSError:
        return False


def need_packages() -> None:
    """Make sure that DICOM segmentations can be read and written here.

    Raises:
        ValueError: naming what is missing and how it is installed.
    """
    try:
        import highdicom  # noqa: F401, PLC0415
        import pydicom  # noqa: F401, PLC0415
    except ImportError as error:
        raise ValueError(
            f'DICOM segmentations need the packages pydicom and highdicom ({error}); install them: pip install "mednextseg[dicom]".'
        ) from error


@contextmanager
def lenient() -> Iterator[None]:
    """What files say is taken as it stands: values that break a rule of DICOM neither warn nor fail."""
    from pydicom.config import disable_value_validation  # noqa: PLC0415

    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def open_dicom(path: str | Path, with_voxels: bool = False) -> "FileDataset":
    """Read a DICOM file, without its voxels unless they are asked for.

    Raises:
        ValueError: for a file that is damaged or no DICOM, and where pydicom is missing.
    """
    need_packages()
    from pydicom import dcmread  # noqa: PLC0415

    try:
        with lenient():
            return dcmread(path, stop_before_pixels=not with_voxels)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be read as DICOM ({' '.join(str(error).split())}); get the file again.") from error


def functional_group(dataset: "Dataset", number: int, keyword: str) -> "Dataset | None":
    """What frame `number` (from 0) says in one of its groups of entries, or all frames together; None where neither does."""
    for groups, index in (("PerFrameFunctionalGroupsSequence", number), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or []
        found = items[index].get(keyword) if index < len(items) else None
        if found:
            return found[0]
    return None


def numbers_in(item: "Dataset | None", keyword: str, count: int) -> np.ndarray | None:
    """(count,) finite numbers of an entry; None where there is none such."""
    value = item.get(keyword) if item is not None else None
    try:
        numbers = np.atleast_1d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def frames_of(path: Path) -> list[Frame] | None:
    """Where the frames of an enhanced file lie; None where it does not say so, or pydicom is missing."""
    try:
        dataset = open_dicom(path)
    except ValueError:
        return None
    with lenient():
        frames = [_frame(dataset, number) for number in range(int(dataset.get("NumberOfFrames") or 0))]
    return frames if frames and None not in frames else None


def _frame(dataset: "Dataset", number: int) -> Frame | None:
    position = numbers_in(functional_group(dataset, number, "PlanePositionSequence"), "ImagePositionPatient", 3)
    orientation = numbers_in(functional_group(dataset, number, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    spacing_ji = numbers_in(functional_group(dataset, number, "PixelMeasuresSequence"), "PixelSpacing", 2)
    if position is None or orientation is None or spacing_ji is None:
        return None
    content = functional_group(dataset, number, "FrameContentSequence")
    moment = "" if content is None else str(content.get("TemporalPositionIndex", ""))
    values = functional_group(dataset, number, "PixelValueTransformationSequence")
    scaling = None if values is None else (str(values.get("RescaleSlope")), str(values.get("RescaleIntercept")))
    return Frame(position, orientation, (float(spacing_ji[1]), float(spacing_ji[0])), moment, scaling)
