"""One input of one kind, tried in a folder of its own."""

import importlib
import os
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np

from fuzz.outcomes import LEFTOVER, REFUSED, RIGHT, TRACEBACK, Fault, Refusal, described, names_in

KINDS = (
    "volumes",
    "dicom",
    "cards_and_recipes",
    "journals_and_tables",
    "checkpoints",
    "protocol",
    "geometries",
    "worker_kills",
    "full_disk",
)


def attempt(kind: str, seed: int, session: Path) -> tuple[str, str]:
    """Try the input of a seed.

    Args:
        kind: one of KINDS.
        seed: any number; the same one gives the same input.
        session: folder for everything; what is made once for all inputs stays there.
    Returns:
        RIGHT, REFUSED or a kind of fault, and a line about it.
    """
    try:
        return run(kind, seed, session)
    except Fault as fault:
        return fault.kind, fault.text
    except Exception as error:  # what escapes is what this program looks for
        return TRACEBACK, described(error)


def run(kind: str, seed: int, session: Path) -> tuple[str, str]:
    """As `attempt`; raises Fault, and whatever escapes from the product."""
    module = importlib.import_module(f"fuzz.{kind}")
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    folder = session / f"{kind}-{seed}"
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    (session / "home").mkdir(exist_ok=True)
    os.environ["MEDNEXTSEG_HOME"] = str(session / "home")
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    (folder / "case").mkdir()
    try:
        try:
            outcome, text = RIGHT, module.try_one(rng, folder / "case", session) or ""
        except Refusal as refusal:
            outcome, text = REFUSED, str(refusal)
        left = names_in(temporary)
        if left:
            raise Fault(LEFTOVER, f"temporary files stay: {', '.join(left[:3])}")
        return outcome, text
    finally:
        tempfile.tempdir = None
        shutil.rmtree(folder, ignore_errors=True)
