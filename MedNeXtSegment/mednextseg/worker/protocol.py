"""What the worker and its client say to each other: one JSON object a line, ASCII only.

    request   {"id": 7, "operation": "segment", "parameters": {...}}      to the worker's standard input
    cancel    {"operation": "cancel", "parameters": {"target": 7}}        has no answer of its own: request 7 answers "cancelled"
    hello     {"id": null, "event": "hello", ...}                         the first line from the worker, once
    progress  {"id": 7, "event": "progress", "phase": "network", "fraction": 0.4, "seconds_left": 12.0}
    log       {"id": 7, "event": "log", "level": "WARNING", "text": "..."}
    result    {"id": 7, "event": "result", "value": {...}}                each request is answered by one result or one error
    error     {"id": 7, "event": "error", "code": "invalid_input", "message": "...", "hint": "..."}
    failure   {"id": null, "event": "failure", "code": "worker_crashed", ...}       the last line of a relay, whose worker is elsewhere

Arrays do not travel in lines: see arrays.py. What libraries print goes to standard error, never between these lines.
Light on purpose (standard library and numpy): Slicer's process imports this file.
"""

import json
from dataclasses import dataclass, field

import numpy as np

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20

# Answered by the worker.
BAD_REQUEST = "bad_request"
UNKNOWN_OPERATION = "unknown_operation"
UNKNOWN_VOLUME = "unknown_volume"
UNKNOWN_EMBEDDING = "unknown_embedding"
INVALID_INPUT = "invalid_input"
MISSING_PACKAGE = "missing_package"
OUT_OF_MEMORY = "out_of_memory"
CANCELLED = "cancelled"
SUPERSEDED = "superseded"
FAILED = "failed"
# Made by the client, in the place of an answer that will not come.
WORKER_NOT_STARTED = "worker_not_started"
WORKER_CRASHED = "worker_crashed"
WORKER_HUNG = "worker_hung"
WORKER_STOPPED = "worker_stopped"

_HINTS = {
    UNKNOWN_VOLUME: "Send the volume again.",
    UNKNOWN_EMBEDDING: "Encode the slice again.",
    MISSING_PACKAGE: "Open the Set-up section and install what is missing.",
    OUT_OF_MEMORY: "Close other programs, choose a region of interest or a smaller model.",
    FAILED: "The log has the details.",
}


class ProtocolError(ValueError):
    """A failure with a code of this protocol.

    Args:
        code: one of the codes above.
        message: one sentence for the user.
        hint: what to do next; None for the code's usual one.
        request_id: of the request it answers, where that is known.
    """

    def __init__(self, code: str, message: str, hint: str | None = None, request_id: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = _HINTS.get(code, "") if hint is None else hint
        self.request_id = request_id


@dataclass(frozen=True)
class Request:
    """One line to the worker; `id` is None for a request without an answer (cancel)."""

    id: int | None
    operation: str
    parameters: dict = field(default_factory=dict)


def encode(message: dict) -> bytes:
    """One line, with its line feed.

    Args:
        message: JSON values; numpy numbers, small numpy arrays and tuples become plain numbers and lists.
    Raises:
        ValueError: for NaN or infinity, which JSON does not have, and for a line longer than MAX_LINE_BYTES.
    """
    line = json.dumps(message, ensure_ascii=True, allow_nan=False, default=_plain).encode("ascii") + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a message of {len(line)} bytes is too long (allowed: {MAX_LINE_BYTES}); send arrays as files.")
    return line


def decode_request(line: bytes) -> Request:
    """Read one line from a client.

    Raises:
        ProtocolError: BAD_REQUEST, with the request's id where the line has one.
    """
    try:
        message = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(BAD_REQUEST, f"a request must be one JSON object in ASCII ({error}).") from error
    if not isinstance(message, dict):
        raise ProtocolError(BAD_REQUEST, f"a request must be one JSON object, got {type(message).__name__}.")
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, int | None):
        raise ProtocolError(BAD_REQUEST, f"a request's id must be an integer, got {request_id!r}.")
    operation, parameters = message.get("operation"), message.get("parameters", {})
    if not isinstance(operation, str) or not isinstance(parameters, dict):
        text = "a request needs the text `operation` and the object `parameters`."
        raise ProtocolError(BAD_REQUEST, text, request_id=request_id)
    if request_id is None and operation != "cancel":
        raise ProtocolError(BAD_REQUEST, f"the request {operation!r} needs an integer `id`, by which it is answered.")
    return Request(request_id, operation, parameters)


def decode_answer(line: bytes) -> dict:
    """Read one line from the worker.

    Raises:
        ValueError: for a line that is not a message of this protocol.
    """
    message = json.loads(line.decode("ascii"))
    if not isinstance(message, dict) or "event" not in message:
        raise ValueError("a line from the worker must be a JSON object with an event.")
    return message


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON.")
