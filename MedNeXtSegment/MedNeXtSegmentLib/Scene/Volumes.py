"""Volume nodes as arrays with their place in the world.

Everything is exchanged in world RAS: parent transforms are applied in this folder and nowhere else.
"""

from collections.abc import Sequence

import numpy as np
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard


def arrayAndGeometryFromVolume(volumeNode) -> tuple[np.ndarray, Geometry]:
    """Voxels and world placement of a volume node.

    Args:
        volumeNode: vtkMRMLScalarVolumeNode.
    Returns:
        volume_kji, a read-only view on the node's memory (copy before keeping it), and its Geometry in world RAS, parent transforms
        included.
    Raises:
        ValueError: for a node without voxels, a color volume, or a non-linear parent transform.
    """
    name = volumeNode.GetName()
    imageData = volumeNode.GetImageData()
    if imageData is None or imageData.GetPointData().GetScalars() is None:
        raise ValueError(f"The volume {name!r} has no voxels; load it again or pick another volume.")
    scalars = imageData.GetPointData().GetScalars()
    if scalars.GetNumberOfComponents() != 1:
        raise ValueError(
            f"The volume {name!r} has {scalars.GetNumberOfComponents()} values a voxel (color or vector); pick a scalar CT or MR volume."
        )
    volume_kji = vtk_to_numpy(scalars).reshape(imageData.GetDimensions()[::-1]).view()
    volume_kji.setflags(write=False)
    return volume_kji, Geometry(volume_kji.shape, linearTransformToWorld(volumeNode) @ placementOf(volumeNode))


def channelsOf(volumeNodes: Sequence, card: ModelCard) -> list[tuple[np.ndarray, Geometry]]:
    """(K, J, I) array and Geometry of each channel.

    Raises:
        ValueError: in one sentence: too few or too many volumes, no volume, a color volume, one slice, a non-linear transform.
    """
    names = ", ".join(channel.name for channel in card.channels)
    if len(volumeNodes) != len(card.channels) or any(node is None for node in volumeNodes):
        given = sum(node is not None for node in volumeNodes)
        raise ValueError(
            _("The model {model} needs {count} volume(s) ({names}), got {given}.").format(
                model=card.title, count=len(card.channels), names=names, given=given
            )
        )
    return scalarVolumes(volumeNodes)


def scalarVolumes(volumeNodes: Sequence) -> list[tuple[np.ndarray, Geometry]]:
    """(K, J, I) array and Geometry of each volume node; ValueError, in one sentence, for what is no 3D image of one value a voxel."""
    for node in volumeNodes:
        if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
            text = _("{name} is a {kind}; pick a scalar CT or MR volume.")
            raise ValueError(text.format(name=repr(node.GetName()), kind=node.GetNodeTagName()))
    volumes = [arrayAndGeometryFromVolume(node) for node in volumeNodes]
    for node, (_array, geometry) in zip(volumeNodes, volumes, strict=True):
        if min(geometry.shape_kji) < 2:
            text = _("{name} is a single slice; load the whole series, a 3D volume is needed.")
            raise ValueError(text.format(name=repr(node.GetName())))
    return volumes


def volumeKey(volumeNode, geometry: Geometry) -> str:
    """Changes whenever the voxels or the place of a volume do."""
    return f"{volumeNode.GetID()}-{volumeNode.GetImageData().GetMTime()}-{hash(geometry.ijk_to_ras.tobytes()) & 0xFFFFFFFF:08x}"


def placementOf(volumeNode) -> np.ndarray:
    """4x4 from voxel indices IJK to the volume node's own RAS, without parent transforms."""
    ijkToRAS = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRAS)
    return arrayFromMatrix(ijkToRAS)


def displayedRange(volumeNode) -> tuple[float, float] | None:
    """The intensities that the views show as black and white; None for a volume without window and level, or with infinite ones."""
    display = volumeNode.GetDisplayNode()
    if display is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        return None
    low, high = display.GetLevel() - display.GetWindow() / 2, display.GetLevel() + display.GetWindow() / 2
    return (low, high) if np.isfinite([low, high]).all() else None


def linearTransformToWorld(node) -> np.ndarray:
    """4x4 from a transformable node's own RAS to world RAS.

    Raises:
        ValueError: where a parent transform is not linear.
    """
    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transformNode.IsTransformToWorldLinear() or not transformNode.GetMatrixTransformToWorld(matrix):
        raise ValueError(
            f"{node.GetName()!r} is under the non-linear transform {transformNode.GetName()!r}; harden the transform first "
            "(Data module, right click, Harden transform)."
        )
    return arrayFromMatrix(matrix)


def arrayFromMatrix(matrix) -> np.ndarray:
    """4x4 float64 from a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
