"""One case: a reference and a prediction, brought onto one grid and one set of names, then measured."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from mednextseg.evaluate.mask_grids import SAME_GRID_MM, joint_grid, labels_on_grid
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.metrics import LabelMetrics, evaluate_pair, largest_error_kji
from mednextseg.geometry import Geometry
from mednextseg.labels.names import LabelJoin, LabelPair, LabelTable, canonical_name, join_labels
from mednextseg.segmentation_io import Segmentation


@dataclass(frozen=True)
class AlignedCase:
    """Both labelmaps on the reference's lattice, as far as either reaches, and which of their numbers belong together."""

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
        by_number: neither file names its labels, so that their numbers stand for them.
    """

    case: str
    labels: dict[str, LabelMetrics]
    largest_error_ras: dict[str, tuple[float, float, float] | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    only_reference: tuple[str, ...] = ()
    only_prediction: tuple[str, ...] = ()
    by_number: bool = False

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
    """Bring both onto one grid and join their labels by name: where the grids differ, the reference's lattice over what either covers.

    Args:
        prediction_names: labels that the predictions of this run know; those missing in this file count as empty, not as unknown.
    Raises:
        ValueError: where the two share no label name, or lie too far apart for any grid.
    """
    join = join_labels(*_tables(reference, prediction, options, prediction_names), options.unions)
    if prediction.geometry.matches(reference.geometry, SAME_GRID_MM):
        return AlignedCase(reference.labelmap_kji, prediction.labelmap_kji, reference.geometry, join)
    grid = joint_grid(reference.geometry, prediction.geometry, prediction.labelmap_kji)
    reference_kji, _ = labels_on_grid(reference.labelmap_kji, reference.geometry, grid)
    moved_kji, is_resampled = labels_on_grid(prediction.labelmap_kji, prediction.geometry, grid)
    notes = [
        f"the prediction's grid {prediction.geometry} differs from the reference's {reference.geometry}; "
        + ("it was resampled onto the reference's lattice, and " if is_resampled else "")
        + "what either of them labels outside the other counts."
    ]
    if reference_kji.any() and moved_kji.any() and not np.logical_and(reference_kji, moved_kji).any():
        notes.append("reference and prediction have no labeled voxel in common; check where the files lie.")
    return AlignedCase(reference_kji, moved_kji, grid, join, tuple(notes))


def evaluate_case(
    case: str,
    reference: Segmentation,
    prediction: Segmentation,
    options: MeasureOptions | None = None,
    prediction_names: Collection[str] = (),
) -> CaseResult:
    """Measure one case on the reference's grid; see `align` for the arguments and errors."""
    options = options or MeasureOptions()
    by_number = not _are_named(reference, prediction, options)
    if by_number and not (reference.labels or prediction.labels):
        return CaseResult(case, {}, by_number=True)
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
    only_reference, only_prediction = aligned.join.only_reference, aligned.join.only_prediction
    return CaseResult(case, metrics, places, aligned.notes, only_reference, only_prediction, by_number)


def with_absent_labels(results: Sequence[CaseResult], options: MeasureOptions) -> list[CaseResult]:
    """The results with labels that neither file of a case has but other cases have: nothing to be found, nothing found.

    Only where numbers stand for names: there a file cannot say which labels it knows.
    """
    numbers = sorted({name for result in results if result.by_number for name in result.labels}, key=int)
    if not numbers:
        return list(results)
    nothing = np.zeros((1, 1, 1), dtype=np.uint8)
    tolerances = {n: options.tolerance_for(LabelPair(n, canonical_name(n), (int(n),), (int(n),))) for n in numbers}
    absent = evaluate_pair(nothing, nothing, (1, 1, 1), {n: (int(n),) for n in numbers}, tolerances)
    return [
        replace(
            result,
            labels={n: result.labels.get(n, absent[n]) for n in numbers},
            largest_error_ras={n: result.largest_error_ras.get(n) for n in numbers},
        )
        if result.by_number
        else result
        for result in results
    ]


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
    if not _are_named(reference, prediction, options):
        # Neither side knows names: numbers stand in for them, those that only one side uses included.
        values = {label.value for segmentation, _ in sides for label in segmentation.labels}
        numbers = {str(value): (value,) for value in sorted(values)}
        return numbers, numbers
    unused = int(max(prediction.labelmap_kji.max(), 0)) + 1
    first = _numbered(reference) if first is None else first
    second = _numbered(prediction) if second is None else second
    second = {**dict.fromkeys(prediction_names, (unused,)), **second}
    return first, {options.pairs.get(name, name): values for name, values in second.items()}


def _are_named(reference: Segmentation, prediction: Segmentation, options: MeasureOptions) -> bool:
    sides = (reference, options.reference_table), (prediction, options.prediction_table)
    return any(_named_table(segmentation, table) is not None for segmentation, table in sides)


def _named_table(segmentation: Segmentation, table: LabelTable | None) -> LabelTable | None:
    """The file's own names, or the table given for plain volumes; None where there is neither."""
    if any(label.name != str(label.value) for label in segmentation.labels):
        return _numbered(segmentation)
    return table


def _numbered(segmentation: Segmentation) -> LabelTable:
    table: dict[str, tuple[int, ...]] = {}
    for label in segmentation.labels:
        table[label.name] = (*table.get(label.name, ()), label.value)
    return table
