"""The axes of a NIfTI file as programs see them that read it by its sform (nibabel), whatever its qform says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard
from mednextseg.nifti_file import is_nifti, sform_geometry
from mednextseg.segment.roi import RegionOfInterest

_DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def seen_by(
    card: ModelCard, file: Path, geometry: Geometry, roi: RegionOfInterest | None, note: Callable[[str], None]
) -> tuple[Geometry, RegionOfInterest | None]:
    """Where a model is to be told that the voxels lie, so that it turns them as its own program does.

    Args:
        card: of the model; only one with `axes_by_sform` is told anything else than `geometry`.
        file: of the first channel.
        geometry: of its voxels as they were read; results belong on it.
        roi: in the RAS of `geometry`.
        note: called with a sentence where the axes differ.
    Returns:
        The grid to hand to the model with the same voxels, and the same region on it.
    """
    sform = sform_geometry(file) if card.axes_by_sform and file.is_file() and is_nifti(file) else None
    if sform is None or sform.orientation == geometry.orientation:
        return geometry, roi
    note(
        f"The sform of {file.name} turns its axes otherwise ({sform.orientation}) than its qform ({geometry.orientation}); the model saw "
        "them by the sform, as its own program does, and the result lies where the qform says."
    )
    matrix = np.eye(4)
    for axis, letter in enumerate(sform.orientation):
        matrix[:3, axis] = np.array(_DIRECTIONS[letter]) * geometry.spacing_ijk_mm[axis]
    seen = Geometry(geometry.shape_kji, matrix)
    if roi is not None:
        roi = RegionOfInterest(roi.bounds_mm, seen.ijk_to_ras @ np.linalg.inv(geometry.ijk_to_ras) @ roi.box_to_ras)
    return seen, roi
