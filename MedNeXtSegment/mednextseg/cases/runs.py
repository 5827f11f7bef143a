"""Models over folders of images, never in the calling process: their memory can be measured, and a crash ends that model only."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from pathlib import Path

from mednextseg.cases.actors import Spread
from mednextseg.cases.channels import read_channels
from mednextseg.cases.done_before import run_key
from mednextseg.cases.folders import CASE_ERRORS
from mednextseg.cases.sform_axes import seen_by
from mednextseg.errors import sentence_of
from mednextseg.files import write_text
from mednextseg.json_values import read_json_object
from mednextseg.machine import peak_memory_mb
from mednextseg.models.library import find_model, found_from_anywhere
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.model_card import read_card
from mednextseg.segment.find_and_segment import find_and_segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segmentation_io import write_segmentation


def run_model(
    model: str,
    recipe: SegmentRecipe,
    device: str,
    cases: dict[str, Sequence[Path]],
    output: Path,
    report: Callable[[str], None],
    spread: Spread | None = None,
) -> dict[str, str]:
    """Segment cases into `output`; finished ones are not done again where model, recipe and images are the same.

    Each CASE.seg.nrrd comes with a CASE.cost.json (seconds, peak_memory_mb, run: see done_before.py).

    Args:
        report: called with a line about a case.
        spread: has the cases done several at once, and tells about their progress itself; None for a process here, one case after another.
    Returns:
        case -> error, for the cases that failed.
    """
    output.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}
    card = read_card(find_model(model))
    keys = {name: run_key(card, recipe, files) for name, files in cases.items()}
    todo = {name: files for name, files in cases.items() if _stored_key(output, name) != keys[name]}
    if spread is not None:
        return _run_elsewhere(
            spread, model, recipe, device, {name: (todo[name], output / name, keys[name]) for name in todo}, report
        )
    spawn = multiprocessing.get_context("spawn")
    while todo:
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=_end_with_parent) as process:
            for name in list(todo):
                files = todo.pop(name)
                try:
                    seconds, notes = process.submit(
                        _segment_one, model, recipe.to_dict(), device, files, output / name, keys[name]
                    ).result()
                    for line in (f"{seconds:.1f} s", *notes):
                        report(f"{name}: {line}")
                except BrokenProcessPool:
                    failed[name] = "the process was ended while it ran, probably for want of memory."
                    break  # the remaining cases get a new process
                except CASE_ERRORS as error:
                    failed[name] = sentence_of(error)
    return failed


def _run_elsewhere(
    spread: Spread,
    model: str,
    recipe: SegmentRecipe,
    device: str,
    cases: dict[str, tuple[Sequence[Path], Path, str]],
    report: Callable[[str], None],
) -> dict[str, str]:
    whole = {
        name: ([file.absolute() for file in files], output.absolute(), key) for name, (files, output, key) in cases.items()
    }
    failed = {}
    for name, answer in spread(partial(_open_model, found_from_anywhere(model), recipe.to_dict(), device), whole, True).items():
        if answer.failure:
            failed[name] = answer.failure
            continue
        for note in answer.value[1]:
            report(f"{name}: {note}")
    return failed


def stored_costs(folder: Path) -> list[dict[str, float | None]]:
    """The costs of the finished cases of `run_model`."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.cost.json"))]


def _end_with_parent() -> None:
    """Let this process end when the one that started it is gone, however it went: it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stored_key(output: Path, name: str) -> str | None:
    """The key of the run that finished a case; None for a case without a whole result."""
    try:
        cost = read_json_object(output / f"{name}.cost.json")
    except (OSError, ValueError):
        return None
    return cost.get("run") if (output / f"{name}.seg.nrrd").is_file() else None


def _open_model(model: str, recipe: dict, device: str) -> Callable[[tuple[Sequence[Path], Path, str]], tuple[float, list[str]]]:
    """In a process of a cohort: what is called with files, output and key of each case."""
    _loaded(model)
    return lambda case: _segment_one(model, recipe, device, *case)


def _segment_one(
    model: str, recipe: dict, device: str, files: Sequence[Path], output: Path, key: str
) -> tuple[float, list[str]]:
    """Segment and write one case; returns the seconds of the run, and sentences about the case."""
    loaded, notes = _loaded(model), []
    volume, geometry = read_channels(files, notes.append)
    seen, _ = seen_by(loaded.card, files[0], geometry, None, notes.append)
    start = time.perf_counter()
    labelmap_kji, report = find_and_segment(volume, seen, loaded, recipe=SegmentRecipe.from_dict(recipe), device=device)
    seconds = time.perf_counter() - start
    cost_file = output.with_name(f"{output.name}.cost.json")
    cost_file.unlink(missing_ok=True)  # one of an earlier run must never stand beside these labels, wherever this run ends
    write_segmentation(output.with_name(f"{output.name}.seg.nrrd"), labelmap_kji, geometry, report.labels)
    write_text(cost_file, json.dumps({"seconds": round(seconds, 3), "peak_memory_mb": peak_memory_mb(), "run": key}))
    return seconds, notes


@lru_cache(maxsize=1)
def _loaded(model: str) -> LoadedModel:
    return load_model(model)
