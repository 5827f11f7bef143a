"""Files <-> array + Geometry through SimpleITK: NIfTI, NRRD, MHA and folders with one DICOM series."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mednextseg.files import replacing
from mednextseg.geometry import LPS_FROM_RAS, Geometry

_VOLUME_AXES = 3


def read_volume(path: str | Path) -> tuple[np.ndarray, Geometry]:
    """Read a scalar volume.

    Args:
        path: an image file, or a folder that holds exactly one DICOM series.
    Returns:
        volume_kji in the file's own voxel type, and its Geometry.
    Raises:
        FileNotFoundError: where there is no such file or folder.
        ValueError: for files that are no image, 2D, color and 4D images, several series in a folder, and broken geometry.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}.")
    image = _read_dicom_series(path) if path.is_dir() else _read_file(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        count = image.GetNumberOfComponentsPerPixel()
        raise ValueError(
            f"{path} has {count} values a voxel (color or vector); give a volume with one, such as a CT or MR series."
        )
    if image.GetDimension() == _VOLUME_AXES + 1 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != _VOLUME_AXES:
        size = " x ".join(str(n) for n in image.GetSize())
        raise ValueError(f"{path} has {image.GetDimension()} axes ({size}); give a volume with three.")
    try:
        return sitk.GetArrayFromImage(image), geometry_of(image)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def geometry_of(image: sitk.Image) -> Geometry:
    """The Geometry of a 3D SimpleITK image (whose world is LPS)."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return Geometry(image.GetSize()[::-1], LPS_FROM_RAS @ matrix)


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
    """Write compressed, whole or not at all: a file of that name stays as it was until the new one is complete.

    Raises:
        OSError: where the folder cannot be written to or the disk is full.
    """
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(f"{path} could not be written ({_last_line(error)}); the old file, if any, is unchanged.") from error


def _read_file(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read as an image ({_last_line(error)}); give NIfTI, NRRD, MHA or DICOM.") from error


def _read_dicom_series(folder: Path) -> sitk.Image:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        found = "no DICOM series" if not series else f"{len(series)} DICOM series"
        raise ValueError(f"{folder} holds {found}; give a folder with exactly one.")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series[0]))
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"the DICOM series in {folder} cannot be read ({_last_line(error)}).") from error


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1].strip()
