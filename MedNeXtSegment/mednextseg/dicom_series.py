"""A folder with one DICOM series -> array + Geometry."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mednextseg.geometry import LPS_FROM_RAS, Geometry


def read_series(folder: Path) -> tuple[np.ndarray, Geometry]:
    """Read the one series of a folder.

    Raises:
        ValueError: for another number of series, and files that cannot be read.
    """
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        found = "no DICOM series" if not series else f"{len(series)} DICOM series"
        raise ValueError(f"{folder} holds {found}; give a folder with exactly one.")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series[0]))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ValueError(f"the DICOM series in {folder} cannot be read ({error}).") from error
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), Geometry(image.GetSize()[::-1], LPS_FROM_RAS @ matrix)
