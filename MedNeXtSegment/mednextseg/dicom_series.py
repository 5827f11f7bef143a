"""A folder with one DICOM series -> array + Geometry, by the position, orientation and rescaling that every file says of itself.

ITK's own reader of series takes the distance of the first two slices, or the mean one, for that of all, and the first file's rescaling.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mednextseg.dicom_checks import check_file, check_whose, entry, say_inverted
from mednextseg.dicom_frames import frames_of
from mednextseg.dicom_time_points import MOMENTS, time_points
from mednextseg.gantry_tilt import straightened
from mednextseg.geometry import LPS_FROM_RAS, Geometry

_LOG = logging.getLogger(__name__)
_POSITION, _ORIENTATION, _SERIES, _CLASS = "0020|0032", "0020|0037", "0020|000e", "0008|0016"
_NUMBER, _PATIENT, _FRAME_OF_REFERENCE = "0020|0013", "0010|0020", "0020|0052"
_SAME_PLACE_MM, _SAME_DIRECTION = 1e-3, 1e-3
_UNIT = 1e-2  # of the length of a direction
# Shares of the slice distance: rounding of headers, and what is still one even stack.
_EVEN, _NEARLY_EVEN = 0.01, 0.1
_STRAIGHT_MM = 0.1
# Reports, plans, presentation states, documents, raw data and segmentations, directories: they lie beside images and are none.
_NO_IMAGES = re.compile(rb"1\.2\.840\.10008\.(5\.1\.4\.1\.1\.(88|481|11|104|66|9)\.|1\.3\.10)")


@dataclass(frozen=True)
class _Slice:
    """What one file says: placement in LPS mm, spacing along I and J, and its voxels as (J, I) numbers after rescaling.

    patient and frame are the patient's id and the frame of reference, empty where a file does not say them.
    """

    file: Path
    moment: tuple[str, ...]
    number: str
    position: np.ndarray
    orientation: np.ndarray
    spacing_ij: tuple[float, float]
    voxels_ji: np.ndarray
    patient: str = ""
    frame: str = ""

    @property
    def place(self) -> tuple[int, ...]:
        """Equal for slices at one place."""
        return tuple(np.round([*self.position / _SAME_PLACE_MM, *self.orientation / _SAME_DIRECTION]).astype(int).tolist())

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.orientation[:3], self.orientation[3:])


def read_series(folder: Path, time_point: int | None = None) -> tuple[np.ndarray, Geometry]:
    """Read the one series of a folder; exact copies of slices are dropped and a gantry tilt is straightened, which is logged.

    Args:
        time_point: which one to read of a series with several, counted from 1.
    Returns:
        volume_kji, rescaled as the files say, slices in the order of their positions; and its Geometry, without shear.
    Raises:
        ValueError: in one sentence, for another number of series, files that cannot be decoded, slices of several sizes, directions or
            time points, and slices that are missing or unevenly apart.
    """
    files = images_in(folder)
    series = {file_series for file_series, _ in files}
    if len(series) != 1:
        found = "no DICOM series" if not series else f"{len(series)} DICOM series"
        raise ValueError(f"{folder} holds {found}; give a folder with exactly one, or an image file.")
    try:
        return _volume_of(folder, [file for _, file in files], time_point)
    except ValueError as error:
        raise ValueError(f"the DICOM series in {folder} cannot be read: {str(error).rstrip('.')}.") from error


def read_frames(file: Path, time_point: int | None = None) -> tuple[np.ndarray, Geometry]:
    """Read one file that holds all slices of a series; result and ValueError as `read_series`."""
    try:
        return _volume_of(file, [file], time_point)
    except ValueError as error:
        raise ValueError(f"{file} cannot be read: {str(error).rstrip('.')}.") from error


def holds_frames(file: Path) -> bool:
    """Whether a DICOM file is an image of several frames.

    Raises:
        ValueError: for one that is no image.
    """
    header = _header(file)
    if header is None or _NO_IMAGES.search(entry(header, _CLASS).encode()):
        raise ValueError(
            f"{file} is DICOM, but no image that can be read (a segmentation, a report?); give a CT, MR or PET image."
        )
    return header.GetSize()[2] > 1


def images_in(folder: Path) -> list[tuple[str, Path]]:
    """(series, file) of every image right in the folder; hidden files and those of other formats are passed over."""
    found = []
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name.startswith("."):
            continue
        header = _header(file)
        if header is not None:
            if not _NO_IMAGES.search(entry(header, _CLASS).encode()):
                found.append((entry(header, _SERIES), file))
            continue
        with file.open("rb") as stream:
            start = stream.read(1024)
        if start[128:132] == b"DICM" and not _NO_IMAGES.search(start):
            raise ValueError(f"{file} cannot be decoded; get the series again.")
        if file.suffix.lower() in (".dcm", ".ima"):
            _LOG.warning("%s is no DICOM image; it was left out.", file)
    return found


def _header(file: Path) -> sitk.ImageFileReader | None:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader


def _volume_of(folder: Path, files: Sequence[Path], time_point: int | None) -> tuple[np.ndarray, Geometry]:
    first = _header(files[0])
    is_one_file = len(files) == 1 and first.GetSize()[2] > 1
    slices = _slices_of_frames(files[0]) if is_one_file else [_slice(file) for file in files]
    if slices is None:
        _LOG.warning("%s holds all slices in one file; they were taken as evenly apart, which was not checked.", folder)
        image = _decoded(files[0])
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        matrix[:3, 3] = image.GetOrigin()
        return sitk.GetArrayFromImage(image), Geometry(image.GetSize()[::-1], LPS_FROM_RAS @ matrix)
    say_inverted(folder, first)
    check_whose(folder, [(item.file.name, item.patient, item.frame) for item in slices])
    slices = _of_one_time_point(folder, _without_copies(folder, slices), time_point)
    _check_alike(slices)
    slices = sorted(slices, key=lambda item: float(item.position @ slices[0].normal))
    _check_distances(folder, slices)
    volume_kji = np.stack([item.voxels_ji for item in slices])
    geometry = _geometry(slices)
    shift_mm = float(np.abs(geometry.directions_ras[:, 2] @ geometry.directions_ras[:, :2]).max()) * geometry.spacing_ijk_mm[2]
    return straightened(folder, volume_kji, geometry) if shift_mm * len(slices) > _STRAIGHT_MM else (volume_kji, geometry)


def _slice(file: Path) -> _Slice:
    header = _header(file)
    if header.GetSize()[2] > 1:
        raise ValueError(f"{file.name} holds {header.GetSize()[2]} slices and others lie beside it; give them a folder each")
    try:
        position, orientation = (
            np.array([float(number) for number in header.GetMetaData(tag).split("\\")]) for tag in (_POSITION, _ORIENTATION)
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{file.name} does not say where its slice lies; give a series of a CT, MR or PET scanner") from error
    is_whole = position.shape == (3,) and orientation.shape == (6,) and np.isfinite([*position, *orientation]).all()
    if not is_whole or np.abs(np.linalg.norm(orientation.reshape(2, 3), axis=1) - 1).max() > _UNIT:
        raise ValueError(f"{file.name} has a damaged position or orientation; get the series again")
    check_file(file, header)
    image = _decoded(file)
    voxels_ji = sitk.GetArrayFromImage(image)[0]
    if voxels_ji.dtype == np.float64:
        voxels_ji = voxels_ji.astype(np.float32)  # rescaled numbers of 16 bits
    moment = tuple(entry(header, tag) for tag in MOMENTS.values())
    whose = entry(header, _PATIENT), entry(header, _FRAME_OF_REFERENCE)
    return _Slice(file, moment, entry(header, _NUMBER), position, orientation, image.GetSpacing()[:2], voxels_ji, *whose)


def _slices_of_frames(file: Path) -> list[_Slice] | None:
    """The frames of an enhanced file as slices; None where it does not say where they lie, or nothing here can ask it."""
    frames = frames_of(file)
    if frames is None:
        return None
    if len({frame.scaling for frame in frames}) > 1:
        raise ValueError("its frames are rescaled by different numbers; save it as single slices or with one scaling")
    volume = sitk.GetArrayFromImage(_decoded(file))
    if len(volume) != len(frames):
        raise ValueError(f"it describes {len(frames)} frames and holds {len(volume)}; get the file again")
    nothing = [""] * (len(MOMENTS) - 1)
    return [
        _Slice(file.with_name(f"frame {n}"), (f.moment, *nothing), str(n), f.position, f.orientation, f.spacing_ij, voxels_ji)
        for n, (f, voxels_ji) in enumerate(zip(frames, volume, strict=True), start=1)
    ]


def _decoded(file: Path) -> sitk.Image:
    try:
        image = sitk.ReadImage(str(file), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise ValueError(f"{file.name} cannot be decoded; get the series again") from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"{file.name} is a color image; give a series with one value a voxel")
    return image


def _without_copies(folder: Path, slices: Sequence[_Slice]) -> list[_Slice]:
    """Each slice once; those of one place and another moment or other voxels are no copies."""
    kept: list[_Slice] = []
    copies = 0
    by_place: dict[tuple, list[_Slice]] = {}
    for item in slices:
        there = by_place.setdefault(item.place, [])
        if any(item.moment == other.moment and np.array_equal(item.voxels_ji, other.voxels_ji) for other in there):
            copies += 1
            continue
        there.append(item)
        kept.append(item)
    if copies:
        _LOG.warning("%s: %d file(s) repeat a slice that is there already; they were left out.", folder, copies)
    return kept


def _of_one_time_point(folder: Path, slices: Sequence[_Slice], time_point: int | None) -> list[_Slice]:
    """The slices of the chosen time point; all of them where every place has one slice."""
    counts = Counter(item.place for item in slices)
    if max(counts.values()) == 1:
        if time_point not in (None, 1):
            raise ValueError(f"there is no time point {time_point}: it holds a single one; leave --time-point out")
        return list(slices)
    points = time_points([item.place for item in slices], [item.moment for item in slices], [item.number for item in slices])
    if points is None:
        several = [count for count in counts.values() if count > 1]
        raise ValueError(
            f"at {len(several)} places it has up to {max(several)} different slices (a mixture of series?), which nothing in their "
            "headers sorts into whole stacks; give a folder with one of them"
        )
    chosen = [slices[index] for index in points.chosen(time_point)]
    value = points.values[time_point - 1]
    _LOG.warning("%s: time point %d of %d was taken (%s %s).", folder, time_point, len(points.stacks), points.by, value)
    return chosen


def _check_alike(slices: Sequence[_Slice]) -> None:
    first = slices[0]
    for item in slices[1:]:
        if np.abs(item.orientation - first.orientation).max() > _SAME_DIRECTION:
            raise ValueError(
                f"{first.file.name} and {item.file.name} point in different directions (a scout?); remove one kind"
            )
        if item.voxels_ji.shape != first.voxels_ji.shape or not np.allclose(item.spacing_ij, first.spacing_ij, rtol=1e-3):
            raise ValueError(f"{first.file.name} and {item.file.name} differ in size or pixel spacing; remove one kind")


def _check_distances(folder: Path, slices: Sequence[_Slice]) -> None:
    if len(slices) < 2:
        return
    places_mm = np.array([item.position @ slices[0].normal for item in slices])
    gaps_mm = np.diff(places_mm)
    usual_mm = float(np.median(gaps_mm))
    worst = int(np.abs(gaps_mm - usual_mm).argmax())
    if usual_mm < _SAME_PLACE_MM:
        raise ValueError("its slices lie in one plane; give a series whose slices lie on each other")
    off = abs(gaps_mm[worst] - usual_mm) / usual_mm
    if off > _NEARLY_EVEN:
        between = f"{slices[worst].file.name} and {slices[worst + 1].file.name}"
        raise ValueError(
            f"its slices are {usual_mm:.4g} mm apart, but {between} {gaps_mm[worst]:.4g} mm (slices are missing, or taken unevenly); "
            "get the whole series or resample it evenly"
        )
    if off > _EVEN:
        _LOG.warning("%s: its slices are %.4g to %.4g mm apart; the mean was taken.", folder, gaps_mm.min(), gaps_mm.max())


def _geometry(slices: Sequence[_Slice]) -> Geometry:
    """The grid as the positions say it: sheared where the gantry was tilted.

    Raises:
        ValueError: where the slices do not lie on one line.
    """
    first, last = slices[0], slices[-1]
    step = (last.position - first.position) / (len(slices) - 1) if len(slices) > 1 else first.normal
    line = np.array([first.position + k * step for k in range(len(slices))])
    off_mm = np.abs(np.array([item.position for item in slices]) - line).max()
    if off_mm > max(_STRAIGHT_MM, _NEARLY_EVEN * float(np.linalg.norm(step))):
        raise ValueError(
            f"its slices are up to {off_mm:.3g} mm beside the line through the first and the last; resample it evenly"
        )
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = (first.orientation[3 * n : 3 * n + 3] * first.spacing_ij[n] for n in range(2))
    matrix[:3, 2], matrix[:3, 3] = step, first.position
    return Geometry((len(slices), *first.voxels_ji.shape), LPS_FROM_RAS @ matrix)
