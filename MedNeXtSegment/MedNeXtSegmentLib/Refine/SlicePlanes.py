"""Which plane a prompt is on."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane, plane_from_slice_to_ras, plane_through
from MedNeXtSegmentLib.Scene.Volumes import arrayFromMatrix

_ANTERIOR, _SUPERIOR = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
# Of the axes R, A, S: where their positive and their negative direction points to.
_TOWARDS = (("right", "left"), ("anterior", "posterior"), ("superior", "inferior"))


def planeOf(where, pointRAS: np.ndarray, geometry: Geometry) -> SlicePlane:
    """The plane of a prompt.

    Args:
        where: a vtkMRMLSliceNode, a normal in world RAS, a SlicePlane, or None for axial.
        pointRAS: (3,) mm, a point of the prompt; on the plane where `where` is a normal.
        geometry: of the volume in the world.
    """
    if isinstance(where, SlicePlane):
        return where
    if hasattr(where, "GetSliceToRAS"):
        return plane_from_slice_to_ras(geometry, arrayFromMatrix(where.GetSliceToRAS()))
    return plane_through(geometry, pointRAS, *_screenDirections(_SUPERIOR if where is None else where))


def isSameSlice(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether prompts on both add up: the same grid, less than half a slice apart."""
    isSameGrid = (
        plane.shape_rc == other.shape_rc
        and np.allclose(plane.row_direction_ras, other.row_direction_ras, atol=1e-6)
        and np.allclose(plane.col_direction_ras, other.col_direction_ras, atol=1e-6)
    )
    return isSameGrid and abs(float(other.distance_mm(plane.origin_ras))) < 0.5 * other.thickness_mm


def directionNames(plane: SlicePlane) -> tuple[str, str]:
    """The anatomical directions nearest to the plane's normal and to its opposite, in English."""
    axis = int(np.abs(plane.normal_ras).argmax())
    positive, negative = _TOWARDS[axis]
    return (positive, negative) if plane.normal_ras[axis] > 0 else (negative, positive)


def _screenDirections(normalRAS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions of rows (down the screen) and columns, as Slicer's own views have them."""
    normal = np.asarray(normalRAS, float)
    length = np.linalg.norm(normal)
    if normal.shape != (3,) or not length > 0:
        raise ValueError(
            f"the plane's normal must be three numbers that are not all zero, got {np.asarray(normalRAS).tolist()}."
        )
    normal = normal / length
    up = _ANTERIOR if abs(normal @ _SUPERIOR) > np.sqrt(0.5) else _SUPERIOR
    down = -(up - (up @ normal) * normal)
    return down, np.cross(down, normal)
