"""Sessions of the server, on the loopback device: two clients at once, in turn and apart; what an end of either side leaves behind."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from server_by_hand import ServerByHand
from worker_process import PATIENCE_S, WorkerByHand, is_alive

from mednextseg.worker.remote.frames import CHUNK_BYTES, encoded_chunk
from mednextseg.worker.remote.pinning import kept_secret

IDENTITY = np.eye(4).tolist()
FOR_EVER = {"steps": 100_000, "seconds_a_step": 0.01}
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerByHand]:
    running = ServerByHand(tmp_path_factory.mktemp("server"), client_bytes=20 << 20)
    yield running
    running.close()


@pytest.fixture(scope="module")
def anna(server: ServerByHand) -> Iterator[WorkerByHand]:
    client = server.client("anna")
    yield client
    client.close()


@pytest.fixture(scope="module")
def bert(server: ServerByHand) -> Iterator[WorkerByHand]:
    client = server.client("bert")
    yield client
    client.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def started(client: WorkerByHand, **parameters: object) -> int:
    """A run that has begun."""
    request = client.send("segment", **parameters)
    client.wait_for(lambda m: m["id"] == request and m["event"] == "progress" and m["phase"] == "network")
    return request


def prompt(client: WorkerByHand) -> np.ndarray:
    """Encode a slice and ask for a mask on it: an array there, an array back."""
    image = np.random.default_rng(0).normal(size=(40, 40))
    encoded = client.ask("encode_slice", session="s", embedding="e", image=client.arrays.write(image))
    assert encoded["event"] == "result", encoded
    answer = client.ask("predict_mask", session="s", embedding="e")
    return client.arrays.take(answer["value"]["probability"])


def large(seed: int, megabytes: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (megabytes, 1024, 1024)).astype(np.uint8)


def open_volume(client: WorkerByHand, key: str, volume: np.ndarray) -> dict:
    return client.ask("open_volume", volume=key, array=client.arrays.write(volume), ijk_to_ras=IDENTITY)


def workers_of(server: ServerByHand) -> list[int]:
    return [int(n) for n in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()]


def sessions_of(server: ServerByHand) -> list[Path]:
    return list((server.folder / "server" / "sessions").iterdir())


def test_the_hello_tells_of_the_server_and_nothing_of_its_disk(server: ServerByHand, anna: WorkerByHand) -> None:
    assert anna.hello["server"] == f"127.0.0.1:{server.port}"
    assert Path(anna.hello["folder"]) == anna.arrays.folder and anna.hello["pid"] == anna.process.pid
    assert str(server.folder / "server") not in str(anna.hello)


def test_arrays_go_there_and_back_and_leave_no_file_in_the_session(server: ServerByHand, anna: WorkerByHand) -> None:
    for array in (np.arange(24, dtype=np.int16).reshape(2, 3, 4), large(1)):
        answer = anna.ask("evaluate", reference=anna.arrays.write(array))
        np.testing.assert_array_equal(anna.arrays.take(answer["value"]["errors"]), array * 2)
    assert list(anna.arrays.folder.iterdir()) == []
    assert all(list(session.iterdir()) == [] for session in sessions_of(server))


def test_a_volume_is_sent_once(server: ServerByHand, anna: WorkerByHand) -> None:
    volume = large(2)
    told = lambda: sum("sending" in m.get("phase", "") for m in anna.messages)  # noqa: E731
    for key in ("first", "second"):
        before = told()
        assert open_volume(anna, key, volume)["event"] == "result"
        assert (told() > before) == (key == "first")
        assert anna.ask("segment", volumes=[key], steps=1)["value"]["sum"] == volume.sum()
    for key in ("first", "second"):
        anna.ask("close_volume", volume=key)


def test_two_clients_run_in_turn_and_prompt_at_any_time(anna: WorkerByHand, bert: WorkerByHand) -> None:
    hers = started(anna, **FOR_EVER)
    second, third = anna.send("segment", steps=1), anna.send("segment", steps=1)
    his = bert.send("segment", steps=1)
    bert.wait_for(lambda m: m["id"] == his and m.get("phase") == "waiting for others")
    for client in (anna, bert):
        assert prompt(client).shape == (40, 40)
    assert not any(m["id"] == his and m["event"] in ("result", "error") for m in bert.messages)
    anna.cancel(hers)
    assert anna.answer(hers)["code"] == "cancelled"
    # His came after her second and third, and is answered before her third at the latest.
    assert bert.answer(his)["value"]["time"] < anna.answer(third)["value"]["time"]
    assert anna.answer(second)["event"] == "result"


def test_a_run_that_waits_for_others_is_cancelled_at_once(anna: WorkerByHand, bert: WorkerByHand) -> None:
    hers = started(anna, **FOR_EVER)
    waiting, behind = bert.send("segment", steps=1), bert.send("segment", steps=1)
    bert.wait_for(lambda m: m["id"] == waiting and m.get("phase") == "waiting for others")
    for request in (behind, waiting):
        bert.cancel(request)
        assert bert.answer(request)["code"] == "cancelled"
    anna.cancel(hers)
    anna.answer(hers)
    assert bert.ask("segment", steps=1)["event"] == "result"


def test_cancelling_twenty_times_leaves_nothing_behind(server: ServerByHand, anna: WorkerByHand) -> None:
    for _ in range(20):
        request = started(anna, **FOR_EVER, reference=anna.arrays.write(np.zeros(10)))
        anna.cancel(request)
        assert anna.answer(request)["code"] == "cancelled"
    assert all(list(session.iterdir()) == [] for session in sessions_of(server))


def test_a_training_shows_its_curves_on_the_way_and_leaves_its_model_with_the_client(
    server: ServerByHand, anna: WorkerByHand, bert: WorkerByHand, tmp_path: Path
) -> None:
    target = tmp_path / "folder with sp\u00e4ces"
    training = anna.send("adapt", target=str(target), **FOR_EVER)
    anna.wait_for(lambda m: m["id"] == training and m["event"] == "progress")
    waiting = bert.send("adapt", target=str(tmp_path / "other"))
    bert.wait_for(lambda m: m["id"] == waiting and m.get("phase") == "waiting for others")
    wait_until((target / "result" / "log.jsonl").exists)
    assert (target / "plan.json").read_text() == '{"steps": 3}'
    anna.cancel(training)
    assert anna.answer(training)["code"] == "cancelled" and not (target / "package").exists()
    assert bert.answer(waiting)["event"] == "result"
    assert bert.ask("segment", steps=1)["event"] == "result"
    value = anna.ask("adapt", target=str(target))["value"]
    assert value["before"] and value["package"] == str(target / "package")
    assert (target / "package" / "weights.safetensors").read_bytes() == bytes(range(256)) * 8000
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == [
        "LICENSE",
        "log.jsonl",
        "plan.json",
        "weights.safetensors",
    ]
    assert list(anna.arrays.folder.iterdir()) == []


def test_what_is_cancelled_before_it_was_sent_is_not_sent(anna: WorkerByHand) -> None:
    request = anna.send("open_volume", volume="v", array=anna.arrays.write(large(7, 12)), ijk_to_ras=IDENTITY)
    anna.cancel(request)
    assert anna.answer(request)["code"] == "cancelled"
    assert anna.ask("segment", steps=1, volumes=["v"])["code"] == "unknown_volume"
    assert list(anna.arrays.folder.iterdir()) == []


def test_nothing_of_one_client_can_be_read_by_another(server: ServerByHand, anna: WorkerByHand, bert: WorkerByHand) -> None:
    secret = large(3, 2)
    sha256 = hashlib.sha256(secret.tobytes()).hexdigest()
    open_volume(anna, "secret", secret)
    stolen = {"shape": list(secret.shape), "dtype": "uint8"}
    # By the name of the volume, by the names of files, and past the relay, which only knows its own, by the SHA-256.
    assert bert.ask("segment", steps=1, volumes=["secret"])["code"] == "unknown_volume"
    for file in (f"{sha256}.raw", "client1.raw", f"../../clients/{sha256}", "/etc/passwd"):
        assert bert.ask("evaluate", reference={"file": file, **stolen})["code"] == "invalid_input"
    with server.let_in("somebody-else-altogether") as connection:
        for number, file in enumerate((f"{sha256}.raw", "client1.raw", f"../{sha256}.raw")):
            asked = {"id": number, "operation": "evaluate", "parameters": {"reference": {"file": file, **stolen}}}
            connection.send(json.dumps(asked))
            assert json.loads(connection.recv(timeout=PATIENCE_S))["event"] == "error"
    seen = bert.ask("confusion")["value"]
    assert "secret" not in str(seen) and seen["files"] == []
    for folder in (*sessions_of(server), *(server.folder / "server" / "clients").iterdir()):
        assert folder.stat().st_mode & 0o077 == 0
    assert anna.ask("segment", steps=1, volumes=["secret"])["value"]["sum"] == secret.sum()
    anna.ask("close_volume", volume="secret")


def test_more_than_the_quota_is_refused_in_one_sentence_and_the_client_goes_on(bert: WorkerByHand) -> None:
    refused = open_volume(bert, "huge", large(4, 21))
    assert refused["code"] == "invalid_input" and "too large for this server" in refused["message"]
    assert list(bert.arrays.folder.iterdir()) == []
    assert prompt(bert).shape == (40, 40)


def test_a_client_that_is_killed_takes_its_worker_with_it_and_nobody_elses(server: ServerByHand, anna: WorkerByHand) -> None:
    before, there = set(workers_of(server)), set(sessions_of(server))
    other = server.client("other")
    started(other, **FOR_EVER)
    (worker,) = set(workers_of(server)) - before
    (session,) = set(sessions_of(server)) - there
    hers = anna.send("segment", steps=1)
    other.process.kill()
    assert anna.answer(hers)["event"] == "result"  # the turn was given back
    wait_until(lambda: not is_alive(worker) and not session.exists())
    other.wait()


def test_a_worker_that_dies_is_one_sentence(server: ServerByHand, anna: WorkerByHand) -> None:
    other = server.client("other")
    other.send("review_slices")
    failure = other.wait_for(lambda m: m["event"] == "failure")
    assert failure["code"] == "worker_crashed" and "exit code 3" in failure["message"] and "Try again" in failure["hint"]
    other.wait()
    assert anna.ask("segment", steps=1)["event"] == "result"


def test_an_upload_that_broke_off_goes_on_where_it_was(server: ServerByHand) -> None:
    volume = large(5, 4)
    content, sha256 = volume.tobytes(), hashlib.sha256(volume).hexdigest()
    offer = {"id": 0, "operation": "offer", "parameters": {"sha256": sha256, "bytes": len(content)}}
    with server.let_in(kept_secret(server.folder / "traveler" / "client")) as connection:
        connection.send(json.dumps(offer))
        assert json.loads(connection.recv(timeout=PATIENCE_S))["offset"] == 0
        connection.send(encoded_chunk(sha256, 0, content[:CHUNK_BYTES]))
        connection.send(encoded_chunk(sha256, CHUNK_BYTES, content[CHUNK_BYTES : 3 * CHUNK_BYTES // 2]))
    client = server.client("traveler")
    assert open_volume(client, "v", volume)["event"] == "result"
    told = [m["phase"] for m in client.messages if m.get("phase", "").startswith("sending")]
    assert told == ["sending to the server: 62%", "sending to the server: 88%", "sending to the server: 100%"]
    assert client.ask("segment", steps=1, volumes=["v"])["value"]["sum"] == volume.sum()
    client.close()


@pytest.mark.parametrize("kind", ["run, prompt, upload", "download"])
def test_a_server_that_is_killed_in_the_middle_is_one_sentence_and_leaves_no_worker(tmp_path: Path, kind: str) -> None:
    server = ServerByHand(tmp_path)
    client = server.client()
    workers = workers_of(server)
    if kind == "download":
        client.send("evaluate", reference=client.arrays.write(large(6, 12)))
        wait_until(lambda: any(client.arrays.folder.glob("worker*")))
    else:
        started(client, **FOR_EVER)
        client.send("segment", steps=1)
        client.send("encode_slice", session="s", embedding="e", image=client.arrays.write(np.zeros(9)))
        client.send("open_volume", volume="v", array=client.arrays.write(large(6, 12)), ijk_to_ras=IDENTITY)
        client.wait_for(lambda m: m.get("phase", "").startswith("sending"))
    server.process.kill()
    failure = client.wait_for(lambda m: m["event"] == "failure")
    assert failure["code"] == "worker_crashed" and f"127.0.0.1:{server.port} was lost" in failure["message"]
    assert client.wait() == 1
    server.close()
    wait_until(lambda: not any(map(is_alive, workers)))
    assert sessions_of(server) == []


def test_a_client_that_falls_silent_loses_its_session(tmp_path: Path) -> None:
    """As where the network is gone: nothing is closed, and nothing comes any more."""
    server = ServerByHand(tmp_path, alive_s=2)
    client = server.client()
    started(client, **FOR_EVER)
    os.kill(client.process.pid, signal.SIGSTOP)
    wait_until(lambda: sessions_of(server) == [])
    os.kill(client.process.pid, signal.SIGCONT)
    assert client.wait_for(lambda m: m["event"] == "failure")["code"] == "worker_crashed"
    client.wait()
    server.close()
