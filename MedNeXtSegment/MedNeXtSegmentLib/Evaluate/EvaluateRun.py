"""One evaluation from the caller's side: what is compared, what was found, how it ended."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Evaluate.SegmentPairs import SegmentPair, segmentNames
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun

_METRICS = (
    "dice", "iou", "nsd", "tolerance_mm", "hd95_mm", "assd_mm", "reference_ml", "prediction_ml", "volume_difference_ml",
    "relative_volume_difference", "reference_lesions", "found_lesions", "predicted_lesions", "correct_lesions", "lesion_recall",
    "lesion_precision",
)  # fmt: skip
_PLACE = ("largest_error_r_mm", "largest_error_a_mm", "largest_error_s_mm")
_HEAD = ["reference", "test", "segment", "test_segment", *_METRICS, *_PLACE, "notes"]


@dataclass(frozen=True)
class StructureResult:
    """What was measured on one structure.

    Attributes:
        metrics: fields of mednextseg.evaluate.metrics.LabelMetrics.
        largestErrorRAS: where to look first, world RAS in mm; None where nothing is wrong.
        notes: what was done differently from a plain comparison.
        errors_kji: uint8, 1 false positive, 2 false negative.
        errorsGeometry: of errors_kji, in world RAS.
    """

    pair: SegmentPair
    metrics: dict
    largestErrorRAS: tuple[float, float, float] | None
    notes: tuple[str, ...]
    errors_kji: np.ndarray
    errorsGeometry: Geometry


@dataclass(frozen=True)
class Confusion:
    """What became of each compared structure of the reference.

    Attributes:
        rows: structures, as in EvaluateRun.pairs.
        columns: every segment of the test, by name; and what none of them covers.
        volumesMl: (rows, columns) in ml; test segments that overlap count a voxel each.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    volumesMl: np.ndarray


class EvaluateRun(WorkerRun):
    """Given back by EvaluateLogic.evaluate.

    Attributes:
        pairs: the structures that are compared.
        results: those that are done, in the order of the pairs.
        confusion: what was taken for what; None before the end.
        fraction, error, isFinished: see WorkerRun.
    """

    def __init__(
        self,
        worker,
        referenceNode,
        testNode,
        pairs: list[SegmentPair],
        onProgress: "Callable[[EvaluateRun], None] | None",
        onFinished: "Callable[[EvaluateRun], None] | None",
    ) -> None:
        super().__init__(worker, (referenceNode, testNode), onProgress, onFinished)
        self.referenceNode, self.testNode, self.pairs = referenceNode, testNode, pairs
        self.results: list[StructureResult] = []
        self.confusion: Confusion | None = None

    def onWorkerProgress(self, progress: Progress) -> None:
        """Only whole structures are reported, see `add`."""

    def add(self, result: StructureResult) -> None:
        """Keep one structure's result, and report it."""
        self.results.append(result)
        self.reportProgress(Progress("evaluate", len(self.results) / len(self.pairs), None))

    def exportCsv(self, path: str | Path) -> None:
        """Write every number with full precision, and what was taken for what into NAME_confusion.csv beside it.

        Raises:
            OSError: where a file cannot be written.
        """
        path = Path(path)
        _writeCsv(path, [_HEAD, *map(self._row, self.results)])
        if self.confusion is not None:
            rows = zip(self.confusion.rows, self.confusion.volumesMl.tolist(), strict=True)
            table = [["reference_ml_by_test", *self.confusion.columns], *([name, *volumes_ml] for name, volumes_ml in rows)]
            _writeCsv(path.with_name(f"{path.stem}_confusion.csv"), table)

    def _row(self, result: StructureResult) -> list:
        names = segmentNames(self.testNode)
        testNames = " + ".join(names.get(segmentId, segmentId) for segmentId in result.pair.testIds)
        nodes = [self.referenceNode.GetName(), self.testNode.GetName()]
        values = [result.metrics[key] for key in _METRICS]
        place = result.largestErrorRAS or ("", "", "")
        return [*nodes, result.pair.name, testNames, *values, *place, " ".join(result.notes)]


def _writeCsv(path: Path, rows: list[list]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
