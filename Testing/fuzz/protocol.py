"""Odd lines to a real worker: every request with an id is answered once, and the worker lives and still computes rightly."""

import atexit
import json
from pathlib import Path

import numpy as np

from fuzz.inputs import ODD_VALUES, changed_json, damaged, shared_package, step_volume, steps_of
from fuzz.outcomes import CRASH, TRACEBACK, WRONG, Fault, must, must_equal

_REQUESTS_EACH = 25
_SHAPE = (6, 7, 8)
# What JSON can say.
_ODD = tuple(value for value in ODD_VALUES if not isinstance(value, float) or abs(value) < 1e300)
_workers: dict[Path, object] = {}


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """Some odd requests, then one whose answer is known."""
    worker = _worker(session)
    codes = [_odd_request(rng, worker, session) for _ in range(_REQUESTS_EACH)]
    volume = step_volume(rng, _SHAPE)
    array = worker.arrays.write(volume)
    opened = worker.ask("open_volume", volume="v", array=array, ijk_to_ras=np.eye(4).tolist())
    must(opened["event"] == "result", WRONG, f"a volume is refused after odd requests: {opened}")
    answer = worker.ask("segment", volumes=["v"], model=str(shared_package(session)), device="cpu")
    must(answer["event"] == "result", WRONG, f"a whole request is refused after odd ones: {answer}")
    must_equal(worker.arrays.take(answer["value"]["labelmap"]), steps_of(volume), "labels")
    left = sorted(path.name for path in worker.arrays.folder.iterdir() if path.name != array["file"])
    kept = [name for name in left if name.startswith("worker")]
    must(not kept, "leftover", f"arrays that nobody will read: {kept[:3]}")
    for name in left:
        (worker.arrays.folder / name).unlink()
    return ", ".join(sorted(set(codes)))


def _worker(session: Path) -> object:
    from worker_process import WORKER, WorkerByHand

    worker = _workers.get(session)
    if worker is None or worker.process.poll() is not None:
        # A folder of its own: the temporary folder of one input is gone after it.
        worker = _workers[session] = WorkerByHand(WORKER, {"TMPDIR": str(session), "MEDNEXTSEG_HOME": str(session / "home")})
        atexit.register(lambda: worker.process.poll() is None and worker.close())
    return worker


def _odd_request(rng: np.random.Generator, worker: object, session: Path) -> str:
    """Send one; returns the code of its answer."""
    array = worker.arrays.write(step_volume(rng, _SHAPE))
    request = _requests(rng, array, session)[int(rng.integers(12))]
    operation, parameters = request
    for _ in range(int(rng.integers(1, 3))):
        if isinstance(parameters, dict) and parameters:
            parameters, _ = changed_json(rng, parameters, _ODD)
    worker._last_id += 1
    number = worker._last_id
    message: dict = {"id": number, "operation": operation, "parameters": parameters}
    if rng.random() < 0.15:
        message, _ = changed_json(rng, message)
    line = json.dumps(message).encode() + b"\n"
    if rng.random() < 0.15:
        line = damaged(rng, line).replace(b"\n", b" ") + b"\n"
    from mednextseg.worker.arrays import is_description

    before = len(worker.messages)
    worker.send_line(line)
    # A line that lost its id has no answer of its own: the ping behind it tells when all is said. Pings overtake what runs.
    probe = worker.send("close_volume", volume="none")
    try:
        worker.answer(probe)
    except TimeoutError as error:
        raise Fault("hang", f"no answer after {line[:300]!r}") from error
    must(worker.process.poll() is None, CRASH, f"the worker ended after {line[:300]!r}")
    answers = [m for m in worker.messages[before:] if m["event"] in ("result", "error") and m["id"] != probe]
    for answer in answers:
        for array in filter(is_description, answer.get("value", {}).values()):
            worker.arrays.take(array)
        if answer.get("code") == "failed":
            raise Fault(TRACEBACK, f"{answer['message'][:200]} after {line[:300]!r}")
        if answer.get("code") == "invalid_input" and "\n" in answer["message"]:
            raise Fault("unclear message", answer["message"][:200])
    must(len(answers) <= 1, WRONG, f"{len(answers)} answers to {line[:200]!r}")
    is_plain = isinstance(message, dict) and message.get("id") == number and json.loads(json.dumps(number)) == number
    if is_plain and _has_id(line, number):
        must(len(answers) == 1, WRONG, f"no answer to {line[:200]!r}")
    return answers[0].get("code", "result") if answers else "none"


def _has_id(line: bytes, number: int) -> bool:
    try:
        message = json.loads(line)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("id") == number and message.get("operation") != "cancel"


def _requests(rng: np.random.Generator, array: dict, session: Path) -> list[tuple[str, dict]]:
    """What a panel sends, before it is made odd."""
    package, identity = str(shared_package(session)), np.eye(4).tolist()
    region = {"bounds_mm": [0, 5, 0, 5, 0, 5], "box_to_ras": identity}
    recipe = {"overlap": 0.5, "batch_size": 1, "postprocessing": {"middle": {"keep_largest": False}}}
    size = [8, 9]
    image = {**array, "shape": [6 * 7, 8]}
    return [
        ("open_volume", {"volume": "o", "array": array, "ijk_to_ras": identity}),
        ("close_volume", {"volume": "o"}),
        (
            "segment",
            {"volumes": ["v"], "model": package, "roi": region, "labels": ["middle"], "recipe": recipe, "device": "cpu"},
        ),
        ("segment", {"volumes": ["v"], "model": package, "device": "cpu", "whole": True}),
        ("plan_segment", {"panel": "p", "shape_kji": [6, 7, 8], "ijk_to_ras": identity, "model": package, "device": "cpu"}),
        (
            "encode_slice",
            {"session": "s", "embedding": "e", "prompter": "random_walker", "image": image, "spacing_rc_mm": [1, 1]},
        ),
        ("predict_mask", {"session": "s", "embedding": "e", "points_rc": [[3, 3]], "labels": [1], "box": [0, 0, *size]}),
        ("complete_object", {"session": "s", "embedding": "e", "cube": array}),
        ("forget_slice", {"embedding": "e"}),
        ("verify_model", {"model": package}),
        ("list_models", {}),
        ("environment", {"x": 1}),
        ("import_model", {"path": package, "card_file": None, "accept_license": False}),
    ]
