"""Files <-> array + Geometry: NIfTI, NRRD, MHA and folders with one DICOM series."""

import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mednextseg.dicom_frames import is_dicom
from mednextseg.dicom_series import holds_frames, read_frames, read_series
from mednextseg.files import replacing
from mednextseg.geometry import LPS_FROM_RAS, Geometry
from mednextseg.metaimage_file import check_metaimage
from mednextseg.nifti_file import is_nifti, read_nifti
from mednextseg.nrrd_file import readable_nrrd

_LOG = logging.getLogger(__name__)
# What matters of ITK's warnings (which it prints as lines of its source) is checked and said here.
sitk.ProcessObject.SetGlobalWarningDisplay(False)
_VOLUME_AXES = 3
# Axes nearer to right angles are as good as there; those farther away are no mistake of rounding.
_ROUNDING_DEG, _LARGEST_SNAP_DEG, _UNSAID_MM = 2e-3, 0.5, 0.1
# Of single precision headers (NIfTI), for voxels that lie far from the origin.
_ROUNDING_MM, _ROUNDING = 1e-2, 1e-5


def read_volume(path: str | Path, time_point: int | None = None) -> tuple[np.ndarray, Geometry]:
    """Read a scalar volume; what had to be put right, or can be understood in two ways, is logged as a warning.

    Args:
        path: an image file, or a folder that holds exactly one DICOM series.
        time_point: which one to read of a DICOM series with several, counted from 1.
    Returns:
        volume_kji in the file's own voxel type, and its Geometry, whose axes are at right angles.
    Raises:
        FileNotFoundError: where there is no such file or folder.
        ValueError: for files that are no image or not whole, 2D, color and 4D images, several series in a folder, and broken geometry.
    """
    path = Path(path)
    if path.is_dir() or (is_dicom(path) and holds_frames(path)):
        volume_kji, geometry = read_series(path, time_point) if path.is_dir() else read_frames(path, time_point)
        with _named(path):
            return volume_kji, squared(path, geometry)
    if time_point is not None:
        raise ValueError(f"{path} is no DICOM series, so it has no time points; leave --time-point out.")
    layers_kji, geometry, _ = read_layers(path)
    if len(layers_kji) != 1:
        raise ValueError(
            f"{path} has {len(layers_kji)} values a voxel (color or vector); give a volume with one, such as a CT or MR series."
        )
    return layers_kji[0], geometry


def read_layers(path: str | Path) -> tuple[np.ndarray, Geometry, dict[str, str]]:
    """Read an image file of one value a voxel or more; warnings as `read_volume`.

    Returns:
        (values, K, J, I) array in the file's own voxel type, its Geometry, whose axes are at right angles, and its header entries.
    Raises:
        FileNotFoundError, ValueError: as `read_volume`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}.")
    with _named(path):
        if is_nifti(path) or path.name.lower().endswith((".nii", ".nii.gz")):
            volume_kji, geometry = read_nifti(path)
            return volume_kji[None], squared(path, geometry), {}
        image = _three_axes(_read_file(path))
        array = sitk.GetArrayFromImage(image)
        layers_kji = array[None] if image.GetNumberOfComponentsPerPixel() == 1 else np.moveaxis(array, -1, 0)
        return layers_kji, squared(path, geometry_of(image)), entries_of(image)


def geometry_of(image: sitk.Image) -> Geometry:
    """The Geometry of a 3D SimpleITK image (whose world is LPS)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return Geometry(image.GetSize()[::-1], LPS_FROM_RAS @ matrix)


def entries_of(image: sitk.Image | sitk.ImageFileReader) -> dict[str, str]:
    """The text entries of a header; those in an encoding older than UTF-8 as Latin-1, and those whose name is none left out."""
    names = [name for name in image.GetMetaDataKeys() if _is_text(name)]
    entries = {name: image.GetMetaData(name) for name in names}
    return {
        name: entry if _is_text(entry) else entry.encode("utf-8", "surrogateescape").decode("latin-1")
        for name, entry in entries.items()
    }


def image_of(volume_kji: np.ndarray, geometry: Geometry) -> sitk.Image:
    """A SimpleITK image of the array.

    Raises:
        ValueError: for a sheared grid, which image files cannot store.
    """
    if geometry.is_sheared:
        raise ValueError("image files cannot store sheared axes; resample the volume onto a grid with right angles first.")
    image = sitk.GetImageFromArray(volume_kji)
    lps = LPS_FROM_RAS @ geometry.ijk_to_ras
    image.SetSpacing(geometry.spacing_ijk_mm.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / geometry.spacing_ijk_mm).ravel().tolist())
    return image


def write_image(image: sitk.Image, path: str | Path) -> None:
    """Write compressed, whole or not at all: a file of that name stays as it was until the new one is complete and was read back.

    Raises:
        OSError: where the folder cannot be written to or the disk is full.
    """
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(
                f"{path} could not be written ({_last_line(error)}); make room or choose another place; the old file, if any, is "
                "unchanged."
            ) from error
        # Where the disk is full, some writers of ITK report nothing.
        if not _is_whole(temporary, image):
            raise OSError(
                f"{path} could not be written whole (is the disk full?); make room or choose another place; the old file, if any, is "
                "unchanged."
            )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What is wrong with a file or folder becomes a sentence that names it."""
    try:
        yield
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {str(error).rstrip('.')}.") from error


def _read_file(path: Path) -> sitk.Image:
    try:
        if path.suffix.lower() in (".mha", ".mhd"):
            check_metaimage(path)
        with readable_nrrd(path) as file:
            return sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise ValueError(f"it is no image ({_last_line(error)}); give NIfTI, NRRD, MHA or DICOM") from error


def _three_axes(image: sitk.Image) -> sitk.Image:
    if image.GetDimension() == _VOLUME_AXES + 1 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != _VOLUME_AXES:
        size = " x ".join(str(n) for n in image.GetSize())
        raise ValueError(f"it has {image.GetDimension()} axes ({size}); give a volume with three")
    return image


def squared(path: Path, geometry: Geometry) -> Geometry:
    """The grid with right angles, which is what image files can store; a turn that moves voxels is logged.

    Args:
        path: whose grid it is, for the sentences.
        geometry: as the file says.
    Raises:
        ValueError: for axes that are too far from it.
    """
    if geometry.shear_deg > _LARGEST_SNAP_DEG:
        raise ValueError(
            f"its axes are {geometry.shear_deg:.2g} degrees away from right angles; resample it onto a grid with right angles first"
        )
    if geometry.shear_deg < _ROUNDING_DEG:
        return geometry
    squared = geometry.squared()
    distance_mm = np.linalg.norm(squared.corners_ras() - geometry.corners_ras(), axis=1).max()
    if distance_mm > _UNSAID_MM:
        _LOG.warning(
            "%s: its axes are %.2g degrees away from right angles; they were turned there, which moves no voxel by more than %.2g mm.",
            path,
            geometry.shear_deg,
            distance_mm,
        )
    return squared


def _is_whole(path: Path, image: sitk.Image) -> bool:
    """Whether the file holds the image, to its last byte: ITK alone reads past a check sum that is cut off."""
    try:
        if is_nifti(path):
            read_nifti(path)
        return _same(image, _read_file(path))
    except (RuntimeError, ValueError, zlib.error):
        return False


def _same(image: sitk.Image, other: sitk.Image) -> bool:
    """Whether two images have the same voxels at the same place, but for the rounding of headers."""
    voxels, others = sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(other)
    if voxels.shape != others.shape or voxels.dtype != others.dtype:
        return False
    place = geometry_of(image)
    rounding_mm = _ROUNDING_MM + _ROUNDING * np.abs(place.corners_ras()).max()
    return place.matches(geometry_of(other), rounding_mm) and bool(
        np.array_equal(voxels.reshape(-1).view(np.uint8), others.reshape(-1).view(np.uint8))
    )


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _last_line(error: RuntimeError) -> str:
    said = str(error).strip().splitlines()[-1].strip().removeprefix("sitk::ERROR: ")
    return "of no known format" if said.startswith("Unable to determine ImageIO") else said
