"""Runs that wait for a real worker: each ends once, in whatever way, and nothing comes after its end."""

import os
import signal
import sys
from pathlib import Path

import pytest
import slicer

from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic

ROOT = Path(__file__).parents[3]
TEST_WORKER = ("-u", str(ROOT / "Testing" / "engine" / "worker_with_test_operations.py"))
LONG = {"steps": 100_000, "seconds_a_step": 0.005}
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals to processes")


class CountLogic(WorkerRunLogic):
    """Lets the worker count."""

    def __init__(self, worker):
        super().__init__(worker)
        self.ended, self.counted = [], []

    def count(self, nodes=(), **parameters):
        run = WorkerRun(self._worker, nodes, onFinished=self.ended.append)
        self._begin(run, "count", parameters, lambda value: self._deliver(run, value))
        return run

    def _deliver(self, run, value):
        self.counted.append(value["steps"])
        self._end(run)


@pytest.fixture(scope="module")
def client(host):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "MedNeXtSegment"), "OMP_NUM_THREADS": "1"}
    client = WorkerClient(sys.executable, TEST_WORKER, environment)
    yield client
    client.stop()


@pytest.fixture
def logic(client):
    logic = CountLogic(client)
    yield logic
    logic.close()


def waitForProgress(host, run):
    host.wait_until(lambda: run.progress is not None, PATIENCE_S)


def test_a_run_tells_its_progress_and_ends_once(logic):
    run = logic.count(steps=3, seconds_a_step=0.06)
    assert logic.runs == [run] and not run.isFinished and run.fraction == 0
    logic.wait(run)
    assert run.isFinished and run.error is None and run.fraction > 0
    run.finish(RunFailure("failed", "Too late."))
    run.cancel()
    assert (logic.ended, logic.counted, logic.runs, run.error) == ([run], [3], [], None)


def test_cancel_ends_a_run_when_the_worker_has_stopped(host, logic):
    run = logic.count(**LONG)
    waitForProgress(host, run)
    run.cancel()
    assert not run.isFinished
    with pytest.raises(RunFailure) as caught:
        logic.wait(run)
    assert caught.value is run.error and run.error.code == "cancelled" and not run.error.isWorkerFailure
    assert (logic.ended, logic.counted) == ([run], [])


def test_an_abandoned_run_is_over_at_once_and_its_answer_goes_nowhere(host, client, logic):
    first, second = logic.count(**LONG), logic.count(steps=2, seconds_a_step=0)
    waitForProgress(host, first)
    logic.abandon(first)
    assert first.isFinished and first.error.message == "The run was cancelled."
    logic.wait(second)  # the worker went on to it
    host.wait_until(lambda: not client.pendingRequests, PATIENCE_S)
    assert (logic.ended, logic.counted) == ([first, second], [2])


def test_a_run_ends_with_the_nodes_it_needs(host, client, logic):
    needed, other = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("needed", "other"))
    run = logic.count([needed], **LONG)
    slicer.mrmlScene.RemoveNode(other)
    assert not run.isFinished
    slicer.mrmlScene.RemoveNode(needed)
    assert run.isFinished and run.error.message == "needed was removed during the run; nothing was written."
    host.wait_until(lambda: not client.pendingRequests, PATIENCE_S)
    assert logic.ended == [run]


def test_a_dead_worker_ends_all_runs_with_one_failure(host, client, logic):
    runs = [logic.count(**LONG), logic.count(**LONG)]
    waitForProgress(host, runs[0])
    os.kill(client.hello["pid"], signal.SIGKILL)
    host.wait_until(lambda: all(run.isFinished for run in runs), PATIENCE_S)
    assert runs[0].error is runs[1].error and runs[0].error.isWorkerFailure and runs[0].error.code == "worker_crashed"
    assert sorted(map(id, logic.ended)) == sorted(map(id, runs))
    logic.wait(logic.count(steps=1, seconds_a_step=0))  # a new worker
    assert logic.counted == [1]


def test_a_request_that_cannot_be_sent_leaves_no_run(logic):
    with pytest.raises(ValueError, match="JSON"):
        logic.count(steps=float("nan"), seconds_a_step=0)
    assert (logic.runs, logic.ended) == ([], [])
