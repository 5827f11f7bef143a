"""The shape priors that a model has learned come into the scene as volumes. No widgets; the worker reads them."""

from collections.abc import Callable
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic


class PriorsRun(WorkerRun):
    """Given back by PriorsLogic.show.

    Attributes:
        volumes: vtkMRMLScalarVolumeNode of each class, the background first; empty before the end.
        error, isFinished: see WorkerRun.
    """

    volumes: tuple = ()


class PriorsLogic(WorkerRunLogic):
    """Shows where a model expects its structures in a window."""

    def show(self, model: str | Path, finishedCallback: Callable[[PriorsRun], None] | None = None) -> PriorsRun:
        """Add a volume for each class, around the origin of the world; the first structure becomes the background of the slice views.

        Args:
            model: id or folder of a model that was adapted by the method shape-priors; another one ends the run with an error.
            finishedCallback: called once, with the run, when it is over.
        """
        run = PriorsRun(self._worker, (), None, finishedCallback)
        self._begin(run, "shape_priors", {"model": str(model)}, lambda value: self._deliver(run, value))
        return run

    def _deliver(self, run: PriorsRun, value: dict) -> None:
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy([number for row in value["ijk_to_ras"] for number in row])
        run.volumes = tuple(
            slicer.util.addVolumeFromArray(values_kji.copy(), matrix, _("Prior of {label}").format(label=name))
            for name, values_kji in zip(value["names"], value["maps"], strict=True)
        )
        slicer.util.setSliceViewerLayers(background=run.volumes[-1 if len(run.volumes) == 1 else 1], fit=True)
        self._end(run)
