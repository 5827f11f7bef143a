"""The folder of an adaptation: one plan is carried out in it, in as many runs as it takes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mednextseg.files import write_text
from mednextseg.json_values import listed, read_json_object

PLAN_FILE, REPORT_FILE, TABLE_FILE, PACKAGE = "plan.json", "report.json", "report.txt", "package"


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
