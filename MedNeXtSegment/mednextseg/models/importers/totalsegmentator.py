"""Weights of TotalSegmentator as that program stores them: folders of nnU-Net v2 results, one or several for each of its tasks.

    .../DatasetNNN_Name/<Trainer>__<Plans>__<configuration>/...

Which folders make one model, the names of their labels and their licenses are in totalsegmentator.json. Its "total" task has five networks
whose labels are merged in their order. Images are turned to RAS first, as that program does.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mednextseg.json_values import listed
from mednextseg.models.importers.naming import label_fields, slug
from mednextseg.models.importers.nnunet_v2 import read_nnunet_v2
from mednextseg.models.importers.package import Draft

_FILE = Path(__file__).with_name("totalsegmentator.json")
_FOLDER = re.compile(r"^Dataset(\d{3})_")
# From the folder somebody points at: up from a fold, down from the root of that program's files (nnunet/results).
_LEVELS_UP, _LEVELS_DOWN = 4, 3
_CITATION = (
    "Wasserthal et al., TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT Images, Radiology: AI 5(5), 2023"
)
_NOTE = (
    "TotalSegmentator itself resamples the volume before its network and gives labels back by the nearest voxel; here both go through "
    "the network's own resampling, so edges can differ by a fraction of a voxel."
)


@dataclass(frozen=True)
class Task:
    """One of the program's tasks: `mode` is "fast" or "fastest" for those of low resolution, `crop` what it looks for first.

    `crop_task` is the task that finds it, where that is not one of low resolution, and `crop_margin_mm` what is left around it.
    """

    name: str
    mode: str
    datasets: tuple[int, ...]
    license: str
    crop: tuple[str, ...] = ()
    crop_task: str = ""
    crop_margin_mm: float = 20.0

    @property
    def region_from(self) -> dict[str, Any] | None:
        """The card's field: the 3 mm model that finds `crop`; that program takes one of 6 mm, or this one for its "robust crop"."""
        if not self.crop:
            return None
        coarse = "body" if "body_trunc" in self.crop else "total_mr" if self.name.endswith("_mr") else "total"
        model = slug("totalsegmentator", self.crop_task) if self.crop_task else slug("totalsegmentator", coarse, "fast")
        return {"model": model, "labels": list(self.crop), "margin_mm": self.crop_margin_mm, "together": True}

    @property
    def title(self) -> str:
        return f"{self.name} ({self.mode})" if self.mode else self.name


def is_totalsegmentator(path: Path) -> bool:
    """Whether the path is, lies in, or holds folders of weights under the names that TotalSegmentator gives them."""
    return bool(_datasets(path))


def read_totalsegmentator(path: Path) -> Draft:
    """Read one of its folders, or several that make one model.

    Raises:
        ValueError: where a part of a task is missing, or several models lie there of which none is meant more than another.
    """
    folders = _datasets(path)
    if len(folders) == 1:
        number, folder = next(iter(folders.items()))
        task = next(task for task in tasks() if number in task.datasets)
        return _one(task, number, path if folder in path.parents else folder)
    whole = [task for task in tasks() if set(task.datasets) <= set(folders)]
    several = [task for task in whole if len(task.datasets) > 1]
    if len(whole) != 1 and len(several) != 1:
        begun = [task for task in tasks() if len(task.datasets) > 1 and set(task.datasets) & set(folders)]
        lacking = [_table()["folders"][str(n)] for task in begun for n in task.datasets if n not in folders]
        if not whole and lacking:
            raise ValueError(f"{path} has a part of TotalSegmentator's {begun[0].name} but lacks {listed(lacking)}.")
        found = listed(folder.name for folder in folders.values())
        raise ValueError(f"{path} holds several models of TotalSegmentator ({found}); give the folder of one of them.")
    task = several[0] if several else whole[0]
    others = [folder.name for number, folder in folders.items() if number not in task.datasets]
    return _merged(task, [folders[number] for number in task.datasets], others)


@lru_cache(maxsize=1)
def tasks() -> tuple[Task, ...]:
    """All tasks whose folders are known."""
    rows = [{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()} for row in _table()["tasks"]]
    return tuple(Task(**row) for row in rows)


def _merged(task: Task, folders: Sequence[Path], others: Sequence[str]) -> Draft:
    """Several networks as one model with the task's labels."""
    parts = tuple(_one(task, number, folder) for number, folder in zip(task.datasets, folders, strict=True))
    names = _table()["labels_of_tasks"][task.name]
    for part in parts:
        unknown = {label["name"] for label in part.fields["labels"]} - set(names)
        if unknown:
            raise ValueError(
                f"{part.fields['title']} has labels that {task.name} lacks ({listed(sorted(unknown))}); import it alone."
            )
    fields = {
        **parts[0].fields,
        "id": slug("totalsegmentator", task.name, task.mode),
        "title": f"TotalSegmentator {task.title}",
        "labels": [label_fields(value, name) for value, name in enumerate(names, start=1)],
        "combination": "merge",
        "component_rules": [],
        "region_from": task.region_from,
    }
    beside = (f"Beside it lie {listed(others)}; give the folder of one to import it.",) if others else ()
    return Draft(fields, folds=(), sources=(), notes=(_NOTE, *beside), parts=parts)


def _one(task: Task, number: int, folder: Path) -> Draft:
    """One network, with the names, the license and the axes that the program knows."""
    draft = read_nnunet_v2(folder)
    if draft.parts:
        raise ValueError(f"{folder.name} is a cascade, which TotalSegmentator's folders of weights are not; check the folder.")
    name = task.title if len(task.datasets) == 1 else f"{task.title}, {_table()['folders'][str(number)]}"
    names, values = _table()["labels"][str(number)], [label["value"] for label in draft.fields["labels"]]
    fields: dict[str, Any] = {
        **draft.fields,
        "id": slug("totalsegmentator", task.name, task.mode, "" if len(task.datasets) == 1 else str(number)),
        "title": f"TotalSegmentator {name}",
        "weights_license": _table()["licenses"][task.license],
        "citation": _CITATION,
    }
    if values == list(range(1, len(names) + 1)):  # else the file's own names: weights of another version
        fields["labels"] = [label_fields(value, label) for value, label in zip(values, names, strict=True)]
    if fields["orientation"] is None:
        fields |= {
            "orientation": "".join("SAR"[axis] for axis in fields["axis_order_kji"])[::-1],
            "axis_order_kji": [0, 1, 2],
            "reorient_only": True,
            "axes_by_sform": True,  # TotalSegmentator reads with nibabel
        }
    if task.crop:
        fields["region_from"] = task.region_from
        fields["roi_hint"] = (
            f"TotalSegmentator crops to {listed(task.crop)} first, which the model {task.region_from['model']} finds where it is "
            "installed; else a region around it gives fewer false positives."
        )
    return replace(draft, fields=fields, notes=(*draft.notes, _NOTE))


def _datasets(path: Path) -> dict[int, Path]:
    """Number -> folder of weights with a name that the program gives: the one the path lies in, else those below it."""
    for folder in (path, *list(path.parents)[:_LEVELS_UP]):
        if (number := _number(folder)) is not None:
            return {number: folder}
    return dict(sorted(_below(path, _LEVELS_DOWN).items())) if path.is_dir() else {}


def _below(path: Path, depth: int) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for child in sorted(path.iterdir()):
        if not child.is_dir() or child.is_symlink():
            continue
        if (number := _number(child)) is not None:
            found[number] = child
        elif depth > 1:
            found |= _below(child, depth - 1)
    return found


def _number(folder: Path) -> int | None:
    match = _FOLDER.match(folder.name)
    known = _table()["folders"].get(str(int(match[1]))) if match else None
    return int(match[1]) if known is not None and folder.name.startswith(known) else None


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8"))
