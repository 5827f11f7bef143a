"""The folder of an adaptation: one at a time works in it, and one plan is carried out in it, in as many runs as it takes."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mednextseg import leftovers
from mednextseg.files import make_folder, write_text
from mednextseg.json_values import listed, read_json_object

PLAN_FILE, REPORT_FILE, TABLE_FILE, PACKAGE = "plan.json", "report.json", "report.txt", "package"
_LOCK_FILE = "in_use"


@contextmanager
def locked(folder: str | Path) -> Iterator[Path]:
    """The folder, made where it does not exist, for this process alone.

    Raises:
        RuntimeError: where another program adapts a model in it.
        OSError: where it cannot be made or written to.
    """
    folder = make_folder(folder)
    lock = folder / _LOCK_FILE
    if not _taken(lock):
        match = re.fullmatch(leftovers.OWNER_PATTERN, lock.read_text(encoding="ascii", errors="replace").strip())
        if not leftovers.is_stale(lock, *(match.groups() if match else (None, None))):
            raise RuntimeError(f"another program adapts a model in {folder}; wait for it, or choose another folder.")
        lock.unlink(missing_ok=True)
        if not _taken(lock):
            raise RuntimeError(f"another program adapts a model in {folder}; wait for it, or choose another folder.")
    try:
        yield folder
    finally:
        lock.unlink(missing_ok=True)


def agreed_plan(folder: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of the folder: the one that was begun, where it asks for the same, else this one, which is now begun.

    Args:
        plan: what was asked for; "steps" may be None, for "as in the folder".
    Raises:
        ValueError: where the folder holds an adaptation of another model, other cases or other settings, naming what differs.
    """
    file = folder / PLAN_FILE
    if not file.is_file():
        return dict(plan)
    begun = read_json_object(file)
    asked = json.loads(json.dumps(plan))
    differing = [name for name, value in asked.items() if not (name == "steps" and value is None) and begun.get(name) != value]
    if differing:
        raise ValueError(
            f"{folder} holds an adaptation with another {listed(differing)}; choose another folder, or repeat the command as it was."
        )
    return begun


def begin_plan(folder: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan, so that the next run in the folder goes on with it."""
    write_text(folder / PLAN_FILE, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")


def _taken(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(leftovers.owner_tag())
    return True
