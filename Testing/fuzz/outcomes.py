"""What one input may lead to: the right answer, a refusal in one sentence, or a fault."""

import contextlib
import io
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

RIGHT, REFUSED = "right", "refused"
# Every fault has one of these kinds.
TRACEBACK, HANG, CRASH, WRONG, LEFTOVER, UNCLEAR = "traceback", "hang", "crash", "wrong answer", "leftover", "unclear message"
FAULTS = (TRACEBACK, HANG, CRASH, WRONG, LEFTOVER, UNCLEAR)
# What the command line turns into one sentence.
_REFUSALS = (ValueError, OSError, MemoryError, RuntimeError)
_LONGEST_SENTENCE = 1500


class Fault(Exception):  # noqa: N818  (found in the product, not raised by it)
    """What must not happen.

    Args:
        kind: one of FAULTS.
        text: one line for the list of findings.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Refusal(Exception):  # noqa: N818  (a good end)
    """The product said in one sentence why not."""


def refusing(call: Callable[[], object]) -> object:
    """What the call returns; Refusal where it raises an error of the kinds that are shown as they are, and that is one sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except _REFUSALS as error:
            check_sentence(str(error), error)
            raise Refusal(str(error)) from error


def run_command(*arguments: object) -> str:
    """Run the command line in this process; returns what it printed.

    Raises:
        Refusal: where it failed with a line of its own.
        Fault: where it failed in another way.
    """
    from mednextseg.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:
            status = error.code
    said = err.getvalue()
    if "Traceback" in said:
        raise Fault(TRACEBACK, said.strip().splitlines()[-1])
    if status == 0:
        return out.getvalue()
    lines = [line for line in said.splitlines() if line.startswith("mednextseg:")]
    if not lines:
        raise Fault(UNCLEAR, f"exit status {status} without a line of its own: {said.strip()[-200:]!r}")
    if len(said.strip().splitlines()) == 1:
        check_sentence(lines[-1])
    raise Refusal(lines[-1])


@contextlib.contextmanager
def warned() -> Iterator[list[str]]:
    """The warnings that the product logs in the block, as sentences; each is checked to be one."""
    said: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("mednextseg")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)
        logger.propagate = before
    for sentence in said:
        check_sentence(sentence)


def check_sentence(text: str, error: Exception | None = None) -> None:
    """Fault where a message is no sentence that a user can read."""
    origin = "" if error is None else f"{type(error).__name__} in {_place(error)}: "
    if "\n" in text.strip() or not text.strip().endswith((".", "?", ")")) or len(text) > _LONGEST_SENTENCE:
        raise Fault(UNCLEAR, f"{origin}{text[:200]!r}")


def must_equal(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """Fault where two arrays are not the same."""
    if found.shape != wanted.shape:
        raise Fault(WRONG, f"{what}: shape {found.shape} instead of {wanted.shape}")
    if not np.array_equal(found, wanted):
        raise Fault(WRONG, f"{what}: {int((found != wanted).sum())} of {found.size} differ")


def must(condition: object, kind: str, text: str) -> None:
    """Fault unless the condition holds."""
    if not condition:
        raise Fault(kind, text)


def names_in(folder: Path) -> list[str]:
    """Every file and folder below, hidden ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def described(error: BaseException) -> str:
    """An unexpected error in one line."""
    return f"{type(error).__name__} in {_place(error)}: {str(error).splitlines()[0][:200] if str(error) else ''}"


def _place(error: BaseException) -> str:
    """The innermost line of the product."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/mednextseg/" in frame.filename]
    return f"{frames[-1].filename.rpartition('/mednextseg/')[2]}:{frames[-1].lineno}" if frames else "no file of the product"
