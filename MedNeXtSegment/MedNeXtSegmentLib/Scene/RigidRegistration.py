"""Slicer's own rigid registration of volumes: BRAINSFit, a program that comes with most builds of Slicer."""

from collections.abc import Callable

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, arrayFromMatrix

_SAMPLED_SHARE = 0.02


def canRegister() -> bool:
    """Whether this Slicer has BRAINSFit."""
    return hasattr(slicer.modules, "brainsfit")


class RigidRegistration:
    """Of one volume to another by mutual information, from the middle of one to the middle of the other; runs beside the event loop.

    Args:
        moving, fixed: vtkMRMLScalarVolumeNode; parent transforms are followed, and neither is changed.
        onFinished: called once: with a 4x4 matrix from world RAS where the moving volume lies to where it lies on the fixed one, or with
            one sentence that says why there is none.
    """

    def __init__(self, moving, fixed, onFinished: Callable[[np.ndarray | str], None]) -> None:
        from slicer import cli  # only Slicer itself has it

        self._onFinished = onFinished
        self._nodes = [_copyInWorld(node) for node in (moving, fixed)]
        self._transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        self._nodes.append(self._transformNode)
        parameters = {
            "movingVolume": self._nodes[0].GetID(),
            "fixedVolume": self._nodes[1].GetID(),
            "linearTransform": self._transformNode.GetID(),
            "samplingPercentage": _SAMPLED_SHARE,
            "initializeTransformMode": "useGeometryAlign",
            "useRigid": True,
        }
        self._cliNode = cli.run(slicer.modules.brainsfit, None, parameters, update_display=False)
        self._cliNode.SetHideFromEditors(True)
        self._observation = self._cliNode.AddObserver("ModifiedEvent", lambda *_args: self._onModified())

    def stop(self) -> None:
        """End it; nobody is told."""
        if self._onFinished is not None:
            self._onFinished = None
            self._cliNode.Cancel()
            self._tidy()

    def _onModified(self) -> None:
        if self._onFinished is None or self._cliNode.IsBusy() or self._cliNode.GetStatus() == self._cliNode.Idle:
            return
        onFinished, self._onFinished = self._onFinished, None
        isWhole = all(slicer.mrmlScene.IsNodePresent(node) for node in self._nodes)
        if isWhole and self._cliNode.GetStatus() == self._cliNode.Completed:
            matrix = vtk.vtkMatrix4x4()
            self._transformNode.GetMatrixTransformToParent(matrix)
            result: np.ndarray | str = arrayFromMatrix(matrix)
        else:
            said = " ".join(self._cliNode.GetErrorText().split())[-200:] or _("it was stopped")
            result = _("BRAINSFit could not register the images ({said}); register them yourself.").format(
                said=said.rstrip(".")
            )
        self._tidy()
        onFinished(result)

    def _tidy(self) -> None:
        self._cliNode.RemoveObserver(self._observation)
        for node in (*self._nodes, self._cliNode):
            slicer.mrmlScene.RemoveNode(node)


def _copyInWorld(volumeNode):
    """The same voxels, not copied, under no transform."""
    _array, geometry = arrayAndGeometryFromVolume(volumeNode)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    node.SetHideFromEditors(True)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(geometry.ijk_to_ras.ravel().tolist())
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(volumeNode.GetImageData())
    return node
