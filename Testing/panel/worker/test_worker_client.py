"""The client drives real worker processes through QProcess: answers, failures, one message each, and nothing left behind."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import qt

from mednextseg.geometry import Geometry
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Worker import EventLoopTurns
from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient
from MedNeXtSegmentLib.Worker.WorkerProcess import defaultProgram

TEST_WORKER = ("-u", str(Path(__file__).parents[2] / "engine" / "worker_with_test_operations.py"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "MedNeXtSegment"), "OMP_NUM_THREADS": "1"}
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals to processes")


class Answers:
    """Callbacks that keep what they were called with."""

    def __init__(self):
        self.results, self.errors, self.progress = [], [], []

    @property
    def callbacks(self):
        return {
            "onResult": self.results.append,
            "onError": self.errors.append,
            "onProgress": lambda *args: self.progress.append(args),
        }

    @property
    def isOver(self):
        return len(self.results) + len(self.errors) > 0


@pytest.fixture
def makeClient(host):
    """Factory of clients of the test worker; each has the lists `failures` and `logText`. All are stopped at the end."""
    clients = []

    def make(**arguments):
        failures, logText = [], []
        arguments = {"program": sys.executable, "arguments": TEST_WORKER, "environment": ENVIRONMENT, **arguments}
        client = WorkerClient(onFailure=failures.append, onLog=logText.append, **arguments)
        client.failures, client.logText = failures, logText
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.stop()


@pytest.fixture
def ask(host):
    """ask(client, operation, parameters) -> Answers, once there is an answer."""

    def askAndWait(client, operation, parameters=None):
        answers = Answers()
        client.request(operation, parameters, **answers.callbacks)
        host.wait_until(lambda: answers.isOver, PATIENCE_S)
        return answers

    return askAndWait


def test_a_request_starts_the_worker_and_arrays_come_back_as_arrays(makeClient, ask):
    client = makeClient()
    assert client.state == "stopped"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    answers = ask(client, "double", {"array": array})
    np.testing.assert_array_equal(answers.results[0]["doubled"], 2 * array)
    assert client.state == "ready"
    assert client.hello["packages"]["numpy"] == np.__version__
    assert client.pendingRequests == []
    assert list(Path(client.hello["folder"]).iterdir()) == []


def test_progress_arrives_while_the_event_loop_stays_free(makeClient, host):
    client, answers = makeClient(), Answers()
    client.request("count", {"steps": 20, "seconds_a_step": 0.06}, **answers.callbacks)
    assert not answers.isOver
    host.wait_until(lambda: answers.isOver, PATIENCE_S)
    fractions = [fraction for _phase, fraction, _left in answers.progress]
    assert len(fractions) > 3
    assert fractions == sorted(fractions)
    assert answers.results == [{"steps": 20, "session": None}]


def test_cancelling_twenty_times_leaves_no_process_no_file_and_no_request(makeClient, host):
    client = makeClient()
    for _ in range(20):
        answers = Answers()
        parameters = {"steps": 100_000, "seconds_a_step": 0.005, "array": np.zeros(5)}
        request = client.request("count", parameters, **answers.callbacks)
        host.wait_until(lambda answers=answers: answers.progress, PATIENCE_S)
        client.cancel(request)
        host.wait_until(lambda answers=answers: answers.isOver, PATIENCE_S)
        assert [error.code for error in answers.errors] == ["cancelled"]
    folder, processId = Path(client.hello["folder"]), client.hello["pid"]
    assert client.failures == []
    assert list(folder.iterdir()) == []
    client.stop()
    assert not folder.exists()
    assert not _exists(processId)


def test_a_killed_worker_gives_one_message_and_the_next_request_a_new_worker(makeClient, host, ask):
    client = makeClient()
    child = ask(client, "spawn").results[0]["pid"]
    first, second = Answers(), Answers()
    client.request("count", {"steps": 100_000, "seconds_a_step": 0.01}, **first.callbacks)
    client.request("count", {"steps": 1, "seconds_a_step": 0}, **second.callbacks)
    folder, processId = Path(client.hello["folder"]), client.hello["pid"]
    os.kill(processId, signal.SIGKILL)
    host.wait_until(lambda: client.failures, PATIENCE_S)
    assert [error.code for error in client.failures] == ["worker_crashed"]
    assert first.errors == second.errors == client.failures
    assert "crashed or was killed" in str(client.failures[0])
    assert not folder.exists()
    host.wait_until(lambda: not _exists(child), PATIENCE_S)
    assert ask(client, "count", {"steps": 1, "seconds_a_step": 0}).results
    assert client.hello["pid"] != processId
    assert len(client.failures) == 1


def test_a_crash_leaves_its_trace_in_the_log(makeClient, ask):
    client = makeClient()
    assert ask(client, "die").errors[0].code == "worker_crashed"
    assert "Segmentation fault" in "".join(client.logText)


def test_a_worker_that_dies_idle_disturbs_nobody(makeClient, host, ask):
    client = makeClient()
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    os.kill(client.hello["pid"], signal.SIGKILL)
    host.wait_until(lambda: client.state == "stopped", PATIENCE_S)
    assert client.failures == []
    assert ask(client, "count", {"steps": 1, "seconds_a_step": 0}).results


def test_a_hanging_worker_is_ended_with_one_message(makeClient, host, ask):
    client = makeClient(hangTimeoutSeconds=2)
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    processId = client.hello["pid"]
    os.kill(processId, signal.SIGSTOP)
    assert [error.code for error in ask(client, "count", {"steps": 1, "seconds_a_step": 0}).errors] == ["worker_hung"]
    assert len(client.failures) == 1
    assert not _exists(processId)
    assert ask(client, "count", {"steps": 1, "seconds_a_step": 0}).results


def test_a_long_run_is_no_hang(makeClient, ask):
    client = makeClient(hangTimeoutSeconds=2)
    assert ask(client, "count", {"steps": 1, "seconds_a_step": 4}).results
    assert client.failures == []


def test_a_request_that_ignores_cancel_is_ended_with_the_worker(makeClient, host):
    client = makeClient(cancelTimeoutSeconds=1)
    cancelled, other = Answers(), Answers()
    request = client.request("ignore_everything", **cancelled.callbacks)
    client.request("count", {"steps": 1, "seconds_a_step": 0}, **other.callbacks)
    host.wait_until(lambda: client.state == "ready", PATIENCE_S)
    client.cancel(request)
    host.wait_until(lambda: cancelled.isOver and other.isOver, PATIENCE_S)
    assert cancelled.errors[0].code == "cancelled"
    assert other.errors[0].code == "worker_stopped"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"program": "/no/such/python"}, "/no/such/python"),
        ({"arguments": ("-c", "raise SystemExit(3)")}, "exit code 3"),
        ({"arguments": ("-c", 'print(\'{"id": null, "event": "hello", "protocol_version": 99}\'); input()')}, "protocol 99"),
    ],
)
def test_a_worker_that_cannot_be_started_gives_one_message(makeClient, ask, arguments, text):
    client = makeClient(**arguments)
    answers = ask(client, "count")
    assert [error.code for error in answers.errors] == ["worker_not_started"]
    assert text in answers.errors[0].message
    assert client.failures == answers.errors
    assert client.state == "stopped"


def test_stopping_answers_what_is_pending_and_shows_no_failure(makeClient, host):
    client, answers = makeClient(), Answers()
    client.request("count", {"steps": 100_000, "seconds_a_step": 0.01}, **answers.callbacks)
    host.wait_until(lambda: answers.progress, PATIENCE_S)
    processId = client.hello["pid"]
    client.stop()
    assert [error.code for error in answers.errors] == ["worker_stopped"]
    assert client.failures == []
    assert not _exists(processId)
    client.stop()  # again: nothing to do


def test_an_error_in_a_callback_is_shown_and_does_not_lose_other_answers(makeClient, host, monkeypatch):
    client, answers, shown = makeClient(), Answers(), []
    monkeypatch.setattr(sys, "excepthook", lambda _type, error, _traceback: shown.append(str(error)))

    def fail(_value):
        raise ArithmeticError("a mistake of the caller")

    for _number in range(3):
        client.request("count", {"steps": 1, "seconds_a_step": 0}, onResult=fail)
    client.request("count", {"steps": 1, "seconds_a_step": 0}, **answers.callbacks)
    host.wait_until(lambda: answers.isOver, PATIENCE_S)
    assert shown == ["a mistake of the caller"] * 3
    assert answers.results


def test_newer_prompts_supersede_waiting_ones(makeClient, host):
    client = makeClient()
    blocking = client.request("count", {"steps": 100_000, "seconds_a_step": 0.01, "session": "other"})
    prompts = [Answers() for _ in range(3)]
    for prompt in prompts:
        client.request("count", {"steps": 1, "seconds_a_step": 0, "session": "mine"}, **prompt.callbacks)
    host.wait_until(lambda: prompts[0].isOver and prompts[1].isOver, PATIENCE_S)
    assert [prompt.errors[0].code for prompt in prompts[:2]] == ["superseded", "superseded"]
    client.cancel(blocking)
    host.wait_until(lambda: prompts[2].isOver, PATIENCE_S)
    assert prompts[2].results


def test_a_volume_is_sent_once_to_each_worker(makeClient, host, ask):
    client = makeClient()
    volume, geometry = np.zeros((4, 5, 6), np.int16), Geometry((4, 5, 6), np.eye(4))
    for _ in range(3):
        client.shareVolume("volume", volume, geometry)
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    assert len(list(Path(client.hello["folder"]).iterdir())) == 1
    for number in range(10):
        client.shareVolume(f"volume {number}", volume, geometry)
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    assert len(list(Path(client.hello["folder"]).iterdir())) == 8
    client.stop()
    client.shareVolume("volume", volume, geometry)
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    assert len(list(Path(client.hello["folder"]).iterdir())) == 1
    with pytest.raises(ValueError, match="must agree"):
        client.shareVolume("wrong", volume, Geometry((4, 5, 7), np.eye(4)))


def test_waiting_needs_no_event_loop_of_the_caller(makeClient):
    client, answers = makeClient(), Answers()
    client.request("count", {"steps": 2, "seconds_a_step": 0.01}, **answers.callbacks)
    client.wait(lambda: answers.isOver)
    assert answers.results


@pytest.mark.parametrize("longestMs, events", [(10_000, []), (0, ["shown"])])
def test_an_answer_comes_before_other_events_unless_it_takes_long(makeClient, ask, monkeypatch, longestMs, events):
    client, answers, seen = makeClient(), Answers(), []
    ask(client, "count", {"steps": 1, "seconds_a_step": 0})
    monkeypatch.setattr(EventLoopTurns, "_LONGEST_MS", longestMs)
    qt.QTimer.singleShot(0, lambda: seen.append("shown"))
    client.request("count", {"steps": 1, "seconds_a_step": 0.01}, **answers.callbacks)
    client.wait(lambda: answers.isOver)
    assert answers.results and seen == events


def test_the_program_is_slicers_python_or_this_one():
    assert Path(defaultProgram()).name.startswith(("python", "PythonSlicer"))
    assert protocol.PROTOCOL_VERSION == 1


def _exists(processId):
    """Whether the process runs; a zombie whose parent did not look yet does not."""
    try:
        os.waitpid(processId, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        return Path(f"/proc/{processId}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
