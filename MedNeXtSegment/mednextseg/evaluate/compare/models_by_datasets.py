"""Models x data sets in the manner of A-Eval (Huang et al., arXiv:2309.03906): accuracy by organ name, and what it cost."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mednextseg.cases.actors import Spread
from mednextseg.cases.folders import CASE_ERRORS, image_files
from mednextseg.cases.runs import run_model, stored_costs
from mednextseg.errors import sentence_of
from mednextseg.evaluate.case import CaseResult
from mednextseg.evaluate.compare.plan import DatasetEntry, ModelEntry, TablePlan, for_model, prediction_folder
from mednextseg.evaluate.folders import evaluate_files, match_cases, measure_elsewhere
from mednextseg.evaluate.report.summary import Mean, bootstrap_mean, label_names, metric_table
from mednextseg.labels.names import canonical_name
from mednextseg.models.library import find_model
from mednextseg.models.model_card import read_card

METRICS = ("dice", "nsd")


@dataclass(frozen=True)
class TableCell:
    """One model on one data set.

    Attributes:
        cases: measured.
        labels: structure -> metric -> Mean, for every structure the two share.
        mean: metric -> Mean over `shared`; the same structures for every model, so that means can be compared.
        shared: structures that all models of the table have in common with this data set.
        seconds_per_case, peak_memory_mb: of the runs; None for predictions made elsewhere.
    """

    model: str
    dataset: str
    cases: int
    labels: dict[str, dict[str, Mean]]
    mean: dict[str, Mean]
    shared: tuple[str, ...]
    seconds_per_case: float | None
    peak_memory_mb: float | None


@dataclass
class TableOutcome:
    """The table, what failed (model / data set / case -> why), and the hashes of the models."""

    cells: list[TableCell] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, object]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return asdict(self)


def run_plan(
    plan: TablePlan, output: Path, report: Callable[[str], None] = lambda text: None, spread: Spread | None = None
) -> TableOutcome:
    """Run every model on every data set and measure it; what `output` already holds is not done again.

    A case, model or data set that fails is listed and does not stop the rest.

    Args:
        report: called with a line about a case or a cell.
        spread: runs and measures the cases of a cell several at once; None for one after another.
    """
    outcome = TableOutcome()
    for model in plan.models:
        outcome.models[model.name] = _provenance(model)
    for dataset in plan.datasets:
        measured: dict[str, list[CaseResult]] = {}
        for model in plan.models:
            try:
                measured[model.name] = _measure(plan, model, dataset, output, outcome, report, spread)
            except CASE_ERRORS as error:
                outcome.failed[f"{model.name} / {dataset.name}"] = sentence_of(error)
                measured[model.name] = []
        outcome.cells += _cells(plan, dataset, measured, output)
    return outcome


def _measure(
    plan: TablePlan,
    model: ModelEntry,
    dataset: DatasetEntry,
    output: Path,
    outcome: TableOutcome,
    report: Callable[[str], None],
    spread: Spread | None,
) -> list[CaseResult]:
    where = f"{model.name} / {dataset.name}"
    if spread is not None:
        report(f"{where}:")  # above what the cases of this cell say of themselves
    folder = prediction_folder(model, dataset, output)
    cases = dataset.cases
    if model.model is not None:
        find_model(model.model)  # one failure for the whole cell, rather than one a case
        images = image_files(dataset.images)
        cases = tuple(images) if cases is None else cases
        failed = run_model(
            model.model,
            model.recipe,
            plan.device,
            {name: images[name] for name in cases if name in images},
            folder,
            lambda text: report(f"{where} / {text}"),
            spread,
        )
        outcome.failed.update({f"{where} / {name}": error for name, error in failed.items()})
        cases = tuple(name for name in cases if name not in failed)
    matched, evaluation = match_cases(dataset.references, folder, only=cases)
    options, results = for_model(dataset, model), output / "results" / dataset.name / model.name
    failed_elsewhere = {} if spread is None else measure_elsewhere(spread, matched, options, results)
    evaluate_files(matched, evaluation, options, results, failed_elsewhere=failed_elsewhere)
    outcome.failed.update({f"{where} / {name}": error for name, error in evaluation.failed.items()})
    report(f"{where}: {len(evaluation.results)} case(s) measured")
    return evaluation.results


def _cells(plan: TablePlan, dataset: DatasetEntry, measured: dict[str, list[CaseResult]], output: Path) -> list[TableCell]:
    known = [{canonical_name(name) for name in label_names(results)} for results in measured.values() if results]
    shared_keys = set.intersection(*known) if known else set()
    cells = []
    for model in plan.models:
        results = measured[model.name]
        names = label_names(results)
        shared = tuple(name for name in names if canonical_name(name) in shared_keys)
        costs = stored_costs(prediction_folder(model, dataset, output)) if model.model is not None else []
        cells.append(
            TableCell(
                model=model.name,
                dataset=dataset.name,
                cases=len(results),
                labels={name: _means(results, [name]) for name in names},
                mean=_means(results, shared),
                shared=shared,
                seconds_per_case=sum(cost["seconds"] for cost in costs) / len(costs) if costs else None,
                peak_memory_mb=max((cost["peak_memory_mb"] or 0 for cost in costs), default=0) or None,
            )
        )
    return cells


def _means(results: Sequence[CaseResult], names: Sequence[str]) -> dict[str, Mean]:
    return {metric: bootstrap_mean(metric_table(results, metric, names)) for metric in METRICS}


def _provenance(model: ModelEntry) -> dict[str, object]:
    if model.model is None:
        return {"predictions": model.predictions}
    try:
        card = read_card(find_model(model.model))
    except ValueError as error:
        return {"model": model.model, "error": str(error)}
    return {
        "model": f"{card.id} {card.version}",
        "weights SHA-256": list(card.weights_sha256),
        "recipe": model.recipe.to_dict(),
    }
