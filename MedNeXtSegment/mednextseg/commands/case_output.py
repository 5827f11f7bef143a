"""Where the segments of a case go: a .seg.nrrd, plain labels, or a DICOM segmentation of the series it was made on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mednextseg.cases.done_before import RUN_FIELD
from mednextseg.dicom_seg.segment_items import Algorithm
from mednextseg.dicom_seg.source import DicomSource, read_source
from mednextseg.dicom_seg.writing import SEG_SUFFIX, check_dicom_seg, names_dicom_seg, write_dicom_seg
from mednextseg.files import check_writable
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import check_output, write_segmentation

if TYPE_CHECKING:
    from mednextseg.models.model_card import ModelCard


@dataclass(frozen=True)
class CaseOutput:
    """The file to be, and what it needs of the input.

    Attributes:
        inputs: the images of the case.
        source: what a DICOM segmentation refers to; None for other files.
    """

    path: Path
    inputs: tuple[Path, ...]
    source: DicomSource | None

    def check(self, geometry: Geometry, labels: Sequence[Label], card: "ModelCard") -> None:
        """Make sure, before the network runs, that the segments can be written on this grid; ValueError or OSError where not."""
        if self.source is None:
            check_output(self.path, self.inputs, geometry, card.labels_overlap)
        else:
            check_dicom_seg(self.path, self.inputs, self.source, geometry, labels, _algorithm(card, ""))

    def write(self, labelmap_kji: np.ndarray, geometry: Geometry, labels: Sequence[Label], card: "ModelCard", run: str) -> None:
        """Write the segments, whole or not at all; `run` is what mednextseg.cases.done_before.run_key made."""
        if self.source is None:
            write_segmentation(self.path, labelmap_kji, geometry, labels, {RUN_FIELD: run})
        else:
            write_dicom_seg(self.path, labelmap_kji, geometry, labels, self.source, _algorithm(card, run))


def case_output(path: Path, inputs: Sequence[Path], time_point: int | None = None) -> CaseOutput:
    """The output of a case, found fit to be written.

    Raises:
        ValueError: for a name or a place that cannot be written, and a DICOM segmentation of what is no DICOM.
        OSError: as `check_writable`.
    """
    if not names_dicom_seg(path):
        check_output(path, inputs)
        return CaseOutput(path, tuple(inputs), None)
    check_writable(path, (SEG_SUFFIX,), inputs)
    return CaseOutput(path, tuple(inputs), read_source(inputs, time_point))


def _algorithm(card: "ModelCard", run: str) -> Algorithm:
    from mednextseg import __version__  # noqa: PLC0415

    parameters = {"weights_sha256": "+".join(card.weights_sha256), "engine": f"mednextseg {__version__}", "run": run}
    return Algorithm(card.id, card.version, parameters)
