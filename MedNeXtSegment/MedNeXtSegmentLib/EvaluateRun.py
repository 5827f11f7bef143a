"""One evaluation from the caller's side: what is compared, what was found, how it ended."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mednextseg.geometry import Geometry
from MedNeXtSegmentLib.SegmentEngine import RunFailure
from MedNeXtSegmentLib.SegmentPairs import SegmentPair


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


class EvaluateRun:
    """Given back by EvaluateLogic.evaluate.

    Attributes:
        pairs: the structures that are compared.
        results: those that are done, in the order of the pairs.
        error: a RunFailure where the evaluation did not come to its end, else None.
        isFinished: whether it is over, in whatever way.
    """

    def __init__(
        self,
        referenceNode,
        testNode,
        pairs: list[SegmentPair],
        cancelRequest: Callable[[], None],
        onProgress: "Callable[[EvaluateRun], None] | None",
        onFinished: "Callable[[EvaluateRun], None] | None",
    ) -> None:
        self.referenceNode, self.testNode, self.pairs = referenceNode, testNode, pairs
        self.results: list[StructureResult] = []
        self.error: RunFailure | None = None
        self.isFinished = False
        self._cancelRequest, self._onProgress, self._onFinished = cancelRequest, onProgress, onFinished

    @property
    def fraction(self) -> float:
        """Share of the structures that are done."""
        return len(self.results) / len(self.pairs)

    def add(self, result: StructureResult) -> None:
        """Keep one structure's result."""
        self.results.append(result)
        if self._onProgress is not None:
            self._onProgress(self)

    def finish(self, error: RunFailure | None = None) -> None:
        """End the run, once; later calls do nothing. What the worker still computes is not waited for."""
        if self.isFinished:
            return
        self.isFinished = True
        self.error = error
        if error is not None:
            self._cancelRequest()
        if self._onFinished is not None:
            self._onFinished(self)
