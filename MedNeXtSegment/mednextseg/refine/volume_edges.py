"""Where a volume ends: prompts beside it are refused, and propagation stops there."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.strokes import Stroke


def check_inside(geometry: Geometry, points_ras: np.ndarray, name: str) -> None:
    """Raise ValueError where one of (..., 3) points in RAS mm lies beside the volume: more than half a voxel from its outermost centers."""
    if not _are_inside(geometry, points_ras).all():
        raise ValueError(f"{name} lies beside the volume; click on the volume.")


def check_box(geometry: Geometry, plane: SlicePlane, corners_ras: np.ndarray) -> None:
    """Raise ValueError where the corners (2, 3) of a box lie beside the volume, or not on the plane."""
    if np.abs(plane.distance_mm(corners_ras)).max() > plane.thickness_mm / 2 + 1e-6:
        raise ValueError("the corners of the box are not on one slice; click both in the same slice view.")
    check_inside(geometry, corners_ras, "a corner of the box")


def check_drawn(geometry: Geometry, plane: SlicePlane, points_ras: np.ndarray, stroke: Stroke) -> None:
    """Raise ValueError where a stroke through (N, 3) points lies beside the volume as a whole, or not on the plane."""
    kind = "lasso" if stroke.is_lasso else "scribble"
    if np.abs(plane.distance_mm(points_ras)).max() > plane.thickness_mm / 2 + 1e-6:
        raise ValueError(f"the points of the {kind} are not on one slice; draw it in one slice view.")
    if not _are_inside(geometry, points_ras).any() and not stroke.pixels(plane.shape_rc).any():
        raise ValueError(f"the {kind} lies beside the volume; draw it on the volume.")


def _are_inside(geometry: Geometry, points_ras: np.ndarray) -> np.ndarray:
    indices, size = geometry.ijk_from_ras(points_ras), np.array(geometry.shape_ijk)
    return ((indices >= -0.5 - 1e-3) & (indices <= size - 0.5 + 1e-3)).all(axis=-1)


def cuts(geometry: Geometry, plane: SlicePlane) -> bool:
    """Whether a plane cuts the volume."""
    size = geometry.shape_ijk
    corners = [[i, j, k] for i in (-0.5, size[0] - 0.5) for j in (-0.5, size[1] - 0.5) for k in (-0.5, size[2] - 0.5)]
    distances = plane.distance_mm(geometry.ras_from_ijk(np.array(corners)))
    return bool(distances.min() < -1e-3 < 1e-3 < distances.max())
