"""`mednextseg evaluate`: segmentations against references, as CSV, JSON and an HTML report; or a table of models by data sets; or a
ranking of models for labeled cases."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from mednextseg.cases.actors import connected
from mednextseg.cases.splits import read_split
from mednextseg.commands.cohort import add_ray_options, check_ray_options, run_cohort
from mednextseg.commands.ranking import run_ranking
from mednextseg.files import make_folder
from mednextseg.json_values import listed

WORST_CASES_SHOWN = 6


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("evaluate", parents=[common], help="measure segmentations", description=__doc__)
    parser.add_argument("--reference", type=Path, help="a segmentation, or a folder of them (.seg.nrrd or label volumes)")
    parser.add_argument("--prediction", type=Path, help="a segmentation, or a folder with files of the same names")
    parser.add_argument(
        "--labels",
        help="JSON file: names of the numbers (dataset.json will do), pairs, tolerances; or a public data set (AMOS)",
    )
    parser.add_argument("--images", type=Path, help="image, or folder of images, to show below the contours")
    parser.add_argument(
        "--cases", help="comma-separated names, or splits_final.json for the validation cases of its first split"
    )
    parser.add_argument("--model", help="model id or folder that made the predictions, for the report")
    parser.add_argument("--recipe", type=Path, help="recipe that made the predictions, for the report; with --table: to run")
    parser.add_argument("--table", type=Path, help="JSON that lists models and data sets: run and compare them all")
    parser.add_argument(
        "--rank", nargs="+", metavar="MODEL", help="rank models by CCFV on the labeled cases of --images and --reference"
    )
    parser.add_argument("--device", default="auto", help="with --table or --rank: auto, cpu, cuda:N or mps")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="DIR", help="folder for results; the same one resumes"
    )
    add_ray_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate what the options say; exit status 1 where a case failed or has no partner."""
    wishes = (options.table, options.rank, options.prediction and options.reference)
    if sum(wish is not None for wish in wishes) != 1:
        raise ValueError(
            "give --reference and --prediction to compare segmentations, --table for models by data sets, or --rank to rank models."
        )
    check_ray_options(options, options.table is not None or (options.prediction is not None and options.prediction.is_dir()))
    make_folder(options.output)
    if options.rank:
        return run_ranking(options, wanted_cases(options.cases))
    return _run_table(options) if options.table else _run_comparison(options)


def wanted_cases(text: str | None) -> list[str] | None:
    """The names of --cases; None for all.

    Raises:
        ValueError: for a file that is no list of splits.
    """
    if text is None:
        return None
    if not text.endswith(".json"):
        return [name.strip() for name in text.split(",")]
    return list(read_split(text).validation)


def _run_comparison(options: argparse.Namespace) -> int:
    from mednextseg.evaluate.folders import (  # noqa: PLC0415
        add_earlier_cases,
        evaluate_files,
        match_cases,
        measure_elsewhere,
    )
    from mednextseg.evaluate.measure_options import MeasureOptions  # noqa: PLC0415
    from mednextseg.evaluate.report.cases_report import evaluation_page  # noqa: PLC0415
    from mednextseg.evaluate.report.csv_tables import evaluation_json, metrics_csv  # noqa: PLC0415
    from mednextseg.evaluate.report.pictures import worst_case_pictures  # noqa: PLC0415
    from mednextseg.files import write_text  # noqa: PLC0415

    measure_options = MeasureOptions.from_text(options.labels) if options.labels else MeasureOptions()
    provenance = _provenance(options, measure_options.to_dict())
    cases, evaluation = match_cases(options.reference, options.prediction, options.images, wanted_cases(options.cases))

    def show(number: int, text: str) -> None:
        print(f"[{number}/{len(cases)}] {text}", file=sys.stderr, flush=True)

    failed_elsewhere = {}
    if options.ray is not None:
        failed_elsewhere = measure_elsewhere(partial(run_cohort, options), cases, measure_options, options.output)
    evaluate_files(cases, evaluation, measure_options, options.output, show, failed_elsewhere)
    if earlier := add_earlier_cases(cases, evaluation, measure_options, options.output):
        print(
            f"mednextseg: {len(earlier)} case(s) of earlier runs into {options.output} are in the report, too.", file=sys.stderr
        )
        cases = [*cases, *earlier]
    pictures = worst_case_pictures(cases, evaluation.results, measure_options, WORST_CASES_SHOWN)
    summary = evaluation_json(evaluation, provenance)
    write_text(options.output / "metrics.csv", metrics_csv(evaluation))
    write_text(options.output / "evaluation.json", json.dumps(summary, indent=1, ensure_ascii=False))
    write_text(options.output / "report.html", evaluation_page(evaluation, provenance, pictures))
    if options.json:
        print(json.dumps({key: summary[key] for key in ("provenance", "summary", "failed", "unmatched")}))
    else:
        _print_summary(summary, options.output)
    measured = {label for result in evaluation.results for label in result.labels}
    for sentence in (*evaluation.unmatched, *(measure_options.unused(measured) if measured else ())):
        print(f"mednextseg: {sentence}", file=sys.stderr)
    return max(_status(evaluation.failed, len(cases)), 1 if evaluation.unmatched else 0)


def _run_table(options: argparse.Namespace) -> int:
    from mednextseg.evaluate.compare.models_by_datasets import run_plan  # noqa: PLC0415
    from mednextseg.evaluate.compare.plan import read_plan  # noqa: PLC0415
    from mednextseg.evaluate.report.models_report import table_csv, table_page  # noqa: PLC0415
    from mednextseg.files import write_text  # noqa: PLC0415

    plan = read_plan(options.table, options.recipe, options.device)

    def show(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if options.ray is None:
        outcome = run_plan(plan, options.output, show)
    else:
        with connected(options.ray):  # once for all cells
            outcome = run_plan(plan, options.output, show, partial(run_cohort, options))
    write_text(options.output / "table.csv", table_csv(outcome))
    write_text(options.output / "table.json", json.dumps(outcome.to_dict(), indent=1, ensure_ascii=False))
    write_text(options.output / "table.html", table_page(outcome))
    print(json.dumps(outcome.to_dict()) if options.json else table_csv(outcome))
    return _status(outcome.failed, sum(cell.cases for cell in outcome.cells) + len(outcome.failed))


def _provenance(options: argparse.Namespace, measure_options: dict) -> dict[str, object]:
    from mednextseg import __version__  # noqa: PLC0415
    from mednextseg.models.library import find_model, sha256_of  # noqa: PLC0415
    from mednextseg.models.model_card import read_card  # noqa: PLC0415
    from mednextseg.segment.recipe import SegmentRecipe  # noqa: PLC0415

    found: dict[str, object] = {
        "engine": f"mednextseg {__version__}",
        "reference": str(options.reference),
        "prediction": str(options.prediction),
        "labels": measure_options,
    }
    if options.model:
        card = read_card(find_model(options.model))
        found["model"] = f"{card.id} {card.version}"
        found["weights SHA-256"] = list(card.weights_sha256)
        found["metrics on the model card"] = list(card.metrics)
    if options.recipe:
        found["recipe"] = SegmentRecipe.from_json(options.recipe).to_dict()
        found["recipe SHA-256"] = sha256_of(options.recipe)
    return found


def _print_summary(summary: dict, output: Path) -> None:
    print(f"{'label':30s} {'n':>4s} {'Dice':>7s} {'95 % interval':>17s} {'NSD':>7s} {'HD95 mm':>8s}")
    for name, row in summary["summary"].items():
        dice, nsd, hd95 = row["dice"], row["nsd"], row.get("hd95_mm", {"mean": None})["mean"]
        interval = f"{dice['low']:.4f} - {dice['high']:.4f}"
        distance = "" if hd95 is None else f"{hd95:8.2f}"
        print(f"{name:30s} {dice['cases']:4d} {dice['mean']:7.4f} {interval:>17s} {nsd['mean']:7.4f} {distance}")
    print(f"{output / 'report.html'} written.")


def _status(failed: dict[str, str], count: int) -> int:
    for case, error in failed.items():
        print(f"mednextseg: {listed([case])}: {error}", file=sys.stderr)
    if failed:
        print(f"mednextseg: {len(failed)} of {count} cases failed: {listed(failed)}.", file=sys.stderr)
    return 1 if failed else 0
