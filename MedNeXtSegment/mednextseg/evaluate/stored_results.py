"""Results of single cases in the folder of an evaluation: taken over by a later run where files, labels and rules are the same."""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path

from mednextseg.evaluate.case import CaseResult
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.metrics import LabelMetrics
from mednextseg.files import write_text
from mednextseg.json_values import read_json

# Raised whenever a number would come out differently, so that results of an older version are not taken over.
_METRICS_VERSION = 2


def fingerprint(files: Sequence[Path], options: MeasureOptions, names: Sequence[str]) -> str:
    """What a result depends on: the two files (place, size, time), the options and the predicted names."""
    stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    text = json.dumps([_METRICS_VERSION, stats, options.to_dict(), sorted(names)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def store_result(
    folder: Path, result: CaseResult, files: Sequence[Path], options: MeasureOptions, names: Sequence[str]
) -> None:
    """Write a case's result."""
    content = {
        "fingerprint": fingerprint(files, options, names),
        "files": [str(file.resolve()) for file in files],
        "names": list(names),
        "result": result.to_dict(),
    }
    write_text(_file(folder, result.case), json.dumps(content, indent=1))


def stored_result(
    folder: Path, case: str, files: Sequence[Path], options: MeasureOptions, names: Sequence[str]
) -> CaseResult | None:
    """A case's result from an earlier run; None where there is none, it is of something else, or the file is damaged."""
    try:
        content = read_json(_file(folder, case))
        if content["fingerprint"] == fingerprint(files, options, names) and content["result"]["case"] == case:
            result = CaseResult.from_dict(content["result"])
            return (
                result if all(set(metrics) == set(LabelMetrics.__annotations__) for metrics in result.labels.values()) else None
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def earlier_results(
    folder: Path, known: Collection[str], options: MeasureOptions, parents: Sequence[Path]
) -> list[tuple[CaseResult, list[Path]]]:
    """Results of other cases that earlier runs left here, from the same two folders and by the same rules.

    Args:
        folder: of the results.
        known: cases of this run.
        options: of this run.
        parents: folders of the references and of the predictions.
    Returns:
        Each result with its reference and prediction, in the order of the names.
    """
    found = []
    for stored in sorted(folder.glob("*.json")):
        try:
            content = read_json(stored)
            files, names = [Path(file) for file in content["files"]], content["names"]
            same_place = [file.parent for file in files] == [parent.resolve() for parent in parents]
            result = stored_result(folder, stored.stem, files, options, names) if same_place else None
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if result is not None and result.case not in known:
            found.append((result, files))
    return found


def _file(folder: Path, case: str) -> Path:
    return folder / f"{case}.json"
