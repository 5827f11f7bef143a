"""The worker as a process: what arrives, what is refused, what it survives, how it ends. Each test speaks to a real one."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from worker_process import PATIENCE_S, WORKER_WITH_TEST_OPERATIONS, WorkerByHand, is_alive

from mednextseg.worker.protocol import MAX_LINE_BYTES

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerByHand]:
    running = WorkerByHand(WORKER_WITH_TEST_OPERATIONS)
    yield running
    running.close()


@pytest.fixture
def own_worker() -> Iterator[WorkerByHand]:
    """For tests that end it."""
    running = WorkerByHand(WORKER_WITH_TEST_OPERATIONS)
    yield running
    running.process.kill()
    running.wait()


def test_the_hello_tells_versions_and_what_is_missing(worker: WorkerByHand) -> None:
    hello = worker.hello
    assert hello["protocol_version"] == 1
    assert hello["python"].split(".") == [str(number) for number in sys.version_info[:3]]
    assert hello["torch"] is None
    assert "torch" in hello["torch_problem"]
    assert Path(hello["folder"]).is_dir()


def test_an_operation_whose_package_is_missing_says_so_and_the_others_work(worker: WorkerByHand) -> None:
    answer = worker.ask("segment", volumes=["v"], model="any")
    assert answer["code"] == "missing_package"
    assert "Set-up" in answer["hint"]
    assert worker.ask("environment")["value"]["torch"] is None
    assert isinstance(worker.ask("list_models")["value"]["models"], list)


def test_an_array_goes_there_and_back_and_leaves_no_file(worker: WorkerByHand) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)[:, ::-1]
    answer = worker.ask("double", array=worker.arrays.write(array))
    np.testing.assert_array_equal(worker.arrays.take(answer["value"]["doubled"]), 2 * array)
    assert list(worker.arrays.folder.iterdir()) == []


def test_the_array_of_a_request_that_fails_is_removed_too(worker: WorkerByHand) -> None:
    assert worker.ask("raise_error", kind="value", array=worker.arrays.write(np.ones(3)))["code"] == "invalid_input"
    assert list(worker.arrays.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "", "x\\y", "nul\0"])
def test_no_request_reaches_beyond_the_folder(worker: WorkerByHand, name: str) -> None:
    answer = worker.ask("double", array={"file": name, "shape": [1], "dtype": "uint8"})
    assert answer["code"] == "invalid_input"
    assert "plain file name" in answer["message"]


def test_what_libraries_print_goes_to_the_log_and_never_between_the_messages(worker: WorkerByHand) -> None:
    request = worker.send("shout")
    assert worker.answer(request)["value"] == {"read": ""}
    logged = worker.wait_for(lambda m: m["event"] == "log" and m["text"] == "logged")
    assert (logged["id"], logged["level"]) == (request, "INFO")
    end = time.monotonic() + PATIENCE_S
    while b"printed by a child" not in worker.printed and time.monotonic() < end:
        time.sleep(0.01)
    for text in (b"printed by Python", b"written to descriptor 1", b"printed by a child"):
        assert text in worker.printed


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("memory", "out_of_memory", "9 GiB"),
        ("value", "invalid_input", "the value is wrong."),
        ("other", "failed", "ZeroDivisionError: divided by zero"),
    ],
)
def test_an_exception_becomes_an_answer_and_the_worker_lives_on(worker: WorkerByHand, kind: str, code: str, text: str) -> None:
    answer = worker.ask("raise_error", kind=kind)
    assert answer["code"] == code
    assert text in answer["message"]
    assert worker.ask("ping")["value"] == {}


def test_a_result_that_json_cannot_say_becomes_an_error(worker: WorkerByHand) -> None:
    answer = worker.ask("send_nan")
    assert answer["code"] == "failed"
    assert "cannot be sent" in answer["message"]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"\xff\xfe\n", b"[1, 2]\n", b'{"id": "7"}\n', b'{"operation": "ping"}\n', b"[" * 9000 + b"\n"]
)
def test_garbage_is_answered_and_survived(worker: WorkerByHand, line: bytes) -> None:
    worker.messages.clear()
    worker.send_line(line)
    assert worker.answer(None)["code"] == "bad_request"
    assert worker.ask("ping")["value"] == {}


def test_a_bad_request_with_an_id_is_answered_by_that_id(worker: WorkerByHand) -> None:
    worker.send_line(b'{"id": 4711, "operation": 3}\n')
    assert worker.answer(4711)["code"] == "bad_request"


def test_a_line_that_is_too_long_is_refused_and_the_next_one_understood(worker: WorkerByHand) -> None:
    worker.messages.clear()
    worker.send_line(b'{"id": 1, "operation": "ping", "x": "' + b"y" * (3 * MAX_LINE_BYTES) + b'"}\n')
    assert worker.answer(None)["code"] == "bad_request"
    assert worker.ask("ping")["value"] == {}
    assert sum(message["event"] == "error" for message in worker.messages) == 1


def test_the_reader_answers_while_the_device_works_and_cancel_stops_it(worker: WorkerByHand) -> None:
    request = worker.send("count", steps=100_000, seconds_a_step=0.01)
    worker.wait_for(lambda m: m["id"] == request and m["event"] == "progress" and m["fraction"] > 0)
    assert worker.ask("ping")["value"] == {}
    assert not any(m["id"] == request and m["event"] == "error" for m in worker.messages)
    worker.cancel(request)
    assert worker.answer(request)["code"] == "cancelled"


def test_a_request_that_waits_is_cancelled_at_once(worker: WorkerByHand) -> None:
    running = worker.send("count", steps=100_000, seconds_a_step=0.01)
    waiting = worker.send("count", steps=100_000, seconds_a_step=0.01)
    worker.cancel(waiting)
    assert worker.answer(waiting)["code"] == "cancelled"
    worker.cancel(running)
    assert worker.answer(running)["code"] == "cancelled"


def test_a_prompt_is_answered_between_the_windows_of_a_run(worker: WorkerByHand) -> None:
    running = worker.send("count", steps=100_000, seconds_a_step=0.01)
    worker.wait_for(lambda m: m["id"] == running and m["event"] == "progress")
    waiting = worker.send("count", steps=1, seconds_a_step=0)
    for number in range(3):
        answer = worker.ask("double", array=worker.arrays.write(np.full(4, number)))
        np.testing.assert_array_equal(worker.arrays.take(answer["value"]["doubled"]), np.full(4, 2 * number))
    assert worker.ask("double", array={"file": "../x"})["code"] == "invalid_input"  # its failure is its own
    assert not any(m["id"] in (running, waiting) and m["event"] in ("result", "error") for m in worker.messages)
    worker.cancel(running)
    assert worker.answer(running)["code"] == "cancelled"
    assert worker.answer(waiting)["value"]["steps"] == 1


def test_cancelling_twenty_times_leaves_nothing_behind(worker: WorkerByHand) -> None:
    for _ in range(20):
        array = worker.arrays.write(np.zeros(10))
        request = worker.send("count", steps=100_000, seconds_a_step=0.005, array=array)
        worker.wait_for(lambda m, request=request: m["id"] == request and m["event"] == "progress")
        worker.cancel(request)
        assert worker.answer(request)["code"] == "cancelled"
    assert list(worker.arrays.folder.iterdir()) == []
    assert worker.ask("count", steps=1, seconds_a_step=0)["value"]["steps"] == 1


def test_of_waiting_prompts_of_a_session_only_the_newest_runs(worker: WorkerByHand) -> None:
    blocking = worker.send("count", steps=100_000, seconds_a_step=0.01, session="other")
    worker.wait_for(lambda m: m["id"] == blocking and m["event"] == "progress")
    prompts = [worker.send("count", steps=1, seconds_a_step=0, session="mine") for _ in range(4)]
    kept = worker.send("count", steps=1, seconds_a_step=0, session="yours")
    for prompt in prompts[:-1]:
        assert worker.answer(prompt)["code"] == "superseded"
    worker.cancel(blocking)
    assert worker.answer(prompts[-1])["value"]["session"] == "mine"
    assert worker.answer(kept)["value"]["session"] == "yours"


def test_requests_without_a_session_all_run(worker: WorkerByHand) -> None:
    requests = [worker.send("count", steps=1, seconds_a_step=0.01) for _ in range(3)]
    assert [worker.answer(request)["event"] for request in requests] == ["result"] * 3


@needs_proc
def test_closing_its_input_ends_it_in_mid_run_with_its_children_and_its_folder(own_worker: WorkerByHand) -> None:
    child = own_worker.ask("spawn")["value"]["pid"]
    request = own_worker.send("count", steps=100_000, seconds_a_step=0.01)
    own_worker.wait_for(lambda m: m["id"] == request and m["event"] == "progress")
    assert own_worker.close() == 0
    assert not own_worker.arrays.folder.exists()
    _wait_until_gone(child)


@needs_proc
def test_a_polite_kill_ends_it_with_its_children(own_worker: WorkerByHand) -> None:
    child = own_worker.ask("spawn")["value"]["pid"]
    os.kill(own_worker.process.pid, signal.SIGTERM)
    assert own_worker.wait() == 0
    assert not own_worker.arrays.folder.exists()
    _wait_until_gone(child)


def _wait_until_gone(process_id: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while is_alive(process_id):
        assert time.monotonic() < end
        time.sleep(0.01)
