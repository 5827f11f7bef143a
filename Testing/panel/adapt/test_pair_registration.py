"""Images of pairs are registered by BRAINSFit where Slicer has it; the test host has none, so that one that knows the movement answers."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer

from MedNeXtSegmentLib.Adapt.AdaptLogic import AdaptLogic
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Adapt.PairRegistration import PairRegistration
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

TIMEOUT_S = 300
SHIFT_MM = 500.0


class BrainsFit:
    """Answers as in Slicer: a node of the scene is busy, then completed, and the transform takes the moving volume onto the fixed one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.hasFailed = False

    def run(
        self, module, node=None, parameters=None, wait_for_completion=False, delete_temporary_files=True, update_display=True
    ):
        assert parameters["useRigid"] and not update_display and not wait_for_completion
        scene = slicer.mrmlScene
        moving, fixed = (scene.GetNodeByID(parameters[name]) for name in ("movingVolume", "fixedVolume"))
        places = [arrayAndGeometryFromVolume(volume)[1].ijk_to_ras[:3, 3] for volume in (moving, fixed)]
        self.asked.append(tuple(float(place[0]) for place in places))
        cliNode = scene.AddNode(slicer.vtkMRMLCommandLineModuleNode())
        cliNode.SetStatus(cliNode.Scheduled)

        def end() -> None:
            if not scene.IsNodePresent(cliNode):
                return  # it was stopped
            matrix = np.eye(4)
            matrix[:3, 3] = places[1] - places[0]
            slicer.util.updateTransformMatrixFromArray(scene.GetNodeByID(parameters["linearTransform"]), matrix)
            cliNode.SetErrorText("ITK: no overlap\n" if self.hasFailed else "")
            cliNode.SetStatus(cliNode.CompletedWithErrors if self.hasFailed else cliNode.Completed)

        qt.QTimer.singleShot(0, end)
        return cliNode


@pytest.fixture
def brainsFit(host, monkeypatch: pytest.MonkeyPatch) -> BrainsFit:
    program, cli = BrainsFit(), types.ModuleType("slicer.cli")
    cli.run = program.run
    monkeypatch.setattr(slicer.modules, "brainsfit", object(), raising=False)
    monkeypatch.setitem(sys.modules, "slicer.cli", cli)
    monkeypatch.setattr(slicer, "cli", cli, raising=False)
    return program


@pytest.fixture
def pairs(cases) -> list:
    """The volumes of the cases, and the same ones less bright; the known ones lie far beside them by a transform."""
    made = []
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[0, 3] = SHIFT_MM
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    for number, (known, _segmentation) in enumerate(cases):
        array_kji = slicer.util.arrayFromVolume(known)
        made.append((known, slicer.util.addVolumeFromArray((0.9 * array_kji).astype(np.float32), name=f"New {number}")))
        known.SetAndObserveTransformNodeID(transform.GetID())
    return made


def test_slicer_registers_what_the_worker_learns_from(worker, home, brainsFit, pairs, tmp_path: Path) -> None:
    logic = AdaptLogic(worker)
    before, phases = slicer.mrmlScene.GetNumberOfNodes(), []
    for copy, original in zip(pairs[2], pairs[1], strict=True):
        slicer.util.updateVolumeFromArray(copy, slicer.util.arrayFromVolume(original))
    options = {"pairs": pairs, "registered": False, "steps": 1}
    for attempt in range(2):  # the second one goes on with what the first one found
        run = logic.adapt(
            str(home / "models" / "bright"), [], options, tmp_path / "run", lambda run: phases.append(run.progress.phase)
        )
        assert (run.registration is not None) == (attempt == 0)
        # Said of images that were read, and those of a pair have a place in common only if the known one was moved.
        with pytest.raises(RuntimeError, match="the cases New 1, New 2 are the same"):
            logic.wait(run)
    assert brainsFit.asked == [(SHIFT_MM, 0.0)] * 3 and "registering New 0" in phases
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    kept = json.loads((tmp_path / "run" / "registrations.json").read_text())
    (found,) = (matrix for name, matrix in kept.items() if name.startswith("Scan 1 -> New 1 ("))
    assert found[0] == [1, 0, 0, -SHIFT_MM]
    logic.close()


def test_what_was_found_for_other_images_of_these_names_is_not_used(worker, home, brainsFit, pairs, tmp_path: Path) -> None:
    movements = []
    for place_mm in (0.0, 30.0):  # in another scene, say, volumes of the same names lie elsewhere
        matrix = np.eye(4)
        matrix[1, 3] = place_mm
        pairs[0][1].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        run = AdaptRun(worker, tmp_path / "run", None, None)
        registration = PairRegistration(pairs[:1], run, movements.append)
        registration.start()
        while len(movements) < (1 if place_mm == 0 else 2):
            slicer.app.processEvents()
    assert len(brainsFit.asked) == 2 and movements[1][0][1, 3] - movements[0][0][1, 3] == 30
    again = PairRegistration(pairs[:1], AdaptRun(worker, tmp_path / "run", None, None), movements.append)
    again.start()
    assert len(brainsFit.asked) == 2 and np.array_equal(movements[2][0], movements[1][0])


def test_a_registration_that_fails_or_is_stopped_ends_the_run(host, worker, home, brainsFit, pairs, tmp_path: Path) -> None:
    logic, before = AdaptLogic(worker), slicer.mrmlScene.GetNumberOfNodes()
    base, options = str(home / "models" / "bright"), {"pairs": pairs, "registered": False, "steps": 1}
    run = logic.adapt(base, [], options, tmp_path / "run")
    run.cancel()
    assert run.isFinished and run.isCancelRequested and run.error.code == "cancelled" and not logic.runs
    brainsFit.hasFailed = True
    run = logic.adapt(base, [], options, tmp_path / "run")
    with pytest.raises(
        RuntimeError, match=r"BRAINSFit could not register the images \(ITK: no overlap\); register them yourself"
    ):
        logic.wait(run)
    slicer.app.processEvents()
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    logic.close()
