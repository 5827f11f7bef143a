"""One case: a reference and a prediction, brought onto one grid and one set of names, then measured."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field

import numpy as np

from mednextseg.evaluate.mask_grids import SAME_GRID_MM
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.metrics import LabelMetrics, evaluate_pair, largest_error_kji
from mednextseg.geometry import Geometry
from mednextseg.labels.names import LabelJoin, LabelPair, LabelTable, join_labels
from mednextseg.segment.prepare.preprocess import resample_labels
from mednextseg.segmentation_io import Segmentation


@dataclass(frozen=True)
class AlignedCase:
    """Both labelmaps on the reference's grid, and which of their numbers belong together."""

    reference_kji: np.ndarray
    prediction_kji: np.ndarray
    geometry: Geometry
    join: LabelJoin
    notes: tuple[str, ...] = ()

    def masks(self, pair: LabelPair) -> tuple[np.ndarray, np.ndarray]:
        """bool (K, J, I) of one structure: reference, prediction."""
        return np.isin(self.reference_kji, pair.reference_values), np.isin(self.prediction_kji, pair.prediction_values)


@dataclass(frozen=True)
class CaseResult:
    """What was measured on one case.

    Attributes:
        labels: name -> metrics.
        largest_error_ras: name -> RAS in mm of the point to look at first; None where nothing is wrong.
        notes: what was done differently from a plain comparison.
        only_reference, only_prediction: labels that were not compared because the other side does not know them.
    """

    case: str
    labels: dict[str, LabelMetrics]
    largest_error_ras: dict[str, tuple[float, float, float] | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    only_reference: tuple[str, ...] = ()
    only_prediction: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict) -> "CaseResult":
        """The inverse of `to_dict`."""
        return cls(**{**raw, **{name: tuple(raw[name]) for name in ("notes", "only_reference", "only_prediction")}})


def align(
    reference: Segmentation,
    prediction: Segmentation,
    options: MeasureOptions,
    prediction_names: Collection[str] = (),
) -> AlignedCase:
    """Bring a prediction onto the reference's grid and join their labels by name.

    Args:
        prediction_names: labels that the predictions of this run know; those missing in this file count as empty, not as unknown.
    Raises:
        ValueError: where the two share no label name.
    """
    join = join_labels(*_tables(reference, prediction, options, prediction_names), options.unions)
    if prediction.geometry.matches(reference.geometry, SAME_GRID_MM):
        return AlignedCase(reference.labelmap_kji, prediction.labelmap_kji, reference.geometry, join)
    note = (
        f"the prediction's grid {prediction.geometry} differs from the reference's {reference.geometry}; it was resampled onto the "
        "reference, and what lies outside is not judged."
    )
    moved_kji = resample_labels(prediction.labelmap_kji, prediction.geometry, reference.geometry)
    return AlignedCase(reference.labelmap_kji, moved_kji, reference.geometry, join, (note,))


def evaluate_case(
    case: str,
    reference: Segmentation,
    prediction: Segmentation,
    options: MeasureOptions | None = None,
    prediction_names: Collection[str] = (),
) -> CaseResult:
    """Measure one case on the reference's grid; see `align` for the arguments and errors."""
    options = options or MeasureOptions()
    aligned = align(reference, prediction, options, prediction_names)
    pairs = aligned.join.pairs
    metrics = evaluate_pair(
        aligned.reference_kji,
        aligned.prediction_kji,
        aligned.geometry.spacing_kji_mm,
        {pair.name: pair.reference_values for pair in pairs},
        {pair.name: options.tolerance_for(pair) for pair in pairs},
        {pair.name: pair.prediction_values for pair in pairs},
        axial_range=[pair.name for pair in pairs if pair.key in options.axial_range],
        axial_axis=axial_axis_kji(aligned.geometry),
    )
    places = {pair.name: _largest_error_ras(aligned, pair) for pair in pairs}
    return CaseResult(case, metrics, places, aligned.notes, aligned.join.only_reference, aligned.join.only_prediction)


def axial_axis_kji(geometry: Geometry) -> int:
    """The array axis (0 K, 1 J, 2 I) that runs closest to head and feet."""
    return 2 - next(column for column, letter in enumerate(geometry.orientation) if letter in "SI")


def _largest_error_ras(aligned: AlignedCase, pair: LabelPair) -> tuple[float, float, float] | None:
    place_kji = largest_error_kji(*aligned.masks(pair), aligned.geometry.spacing_kji_mm)
    if place_kji is None:
        return None
    r, a, s = aligned.geometry.ras_from_ijk(np.array(place_kji[::-1], dtype=float)).tolist()
    return r, a, s


def _tables(
    reference: Segmentation, prediction: Segmentation, options: MeasureOptions, prediction_names: Collection[str]
) -> tuple[LabelTable, LabelTable]:
    sides = (reference, options.reference_table), (prediction, options.prediction_table)
    first, second = (_named_table(segmentation, table) for segmentation, table in sides)
    if first is None and second is None:
        # Neither side knows names: numbers stand in for them, those that only one side uses included.
        values = {label.value for segmentation, _ in sides for label in segmentation.labels}
        numbers = {str(value): (value,) for value in sorted(values)}
        return numbers, numbers
    unused = int(max(prediction.labelmap_kji.max(), 0)) + 1
    first = _numbered(reference) if first is None else first
    second = _numbered(prediction) if second is None else second
    second = {**dict.fromkeys(prediction_names, (unused,)), **second}
    return first, {options.pairs.get(name, name): values for name, values in second.items()}


def _named_table(segmentation: Segmentation, table: LabelTable | None) -> LabelTable | None:
    """The file's own names, or the table given for plain volumes; None where there is neither."""
    if any(label.name != str(label.value) for label in segmentation.labels):
        return _numbered(segmentation)
    return table


def _numbered(segmentation: Segmentation) -> LabelTable:
    return {label.name: (label.value,) for label in segmentation.labels}
