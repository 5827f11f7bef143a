"""`mednextseg segment`: one case, or a folder of cases, to segmentation files."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.cases.folders import CASE_ERRORS, check_inputs, image_files, is_folder_of_cases
from mednextseg.commands.cohort import add_ray_options, check_ray_options, run_cohort
from mednextseg.commands.console_progress import ConsoleProgress
from mednextseg.commands.logged_warnings import logged_warnings
from mednextseg.commands.review import print_review, review_of
from mednextseg.errors import sentence_of
from mednextseg.files import make_folder
from mednextseg.json_values import listed, whole_number
from mednextseg.models.policy_facts import KINDS

if TYPE_CHECKING:
    from mednextseg.commands.case_output import CaseOutput
    from mednextseg.models.loaded_model import LoadedModel
    from mednextseg.segment.recipe import SegmentRecipe


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("segment", parents=[common], help="segment volumes", description=__doc__)
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="the channels of one case, or one folder of cases")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        help=".seg.nrrd, .nii.gz or, for a DICOM series, .dcm file; a folder for a folder",
    )
    parser.add_argument("--model", required=True, help="model id (see `mednextseg models list`) or folder")
    parser.add_argument("--recipe", type=Path, help="JSON file: what to do otherwise than the model card says")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N or mps")
    parser.add_argument("--roi", help="X0,X1,Y0,Y1,Z0,Z1 in RAS mm: segment only there")
    parser.add_argument("--whole", action="store_true", help="run a model that needs a region over the whole of a large volume")
    parser.add_argument("--time-point", type=int, metavar="N", help="of a DICOM series with several: read the Nth, from 1")
    parser.add_argument("--labels", help="comma-separated names of the labels to keep")
    parser.add_argument(
        "--dicom-seg", action="store_true", help="for a folder of DICOM series: write CASE.dcm, not CASE.seg.nrrd"
    )
    parser.add_argument("--tta", action="store_true", help="average over the mirror images the model allows (slower)")
    parser.add_argument(
        "--budget",
        type=float,
        help="share of the windows to look at, from 0 to 1; windows near what a first look finds are looked at in any case",
    )
    parser.add_argument(
        "--policy",
        choices=("coarse", *KINDS),
        help="who chooses them: a first look, or a policy that was trained for the model and installed (by default that one, if any)",
    )
    parser.add_argument("--skip-map", type=Path, metavar="FILE", help="write what was not looked at, or less often, as labels")
    parser.add_argument(
        "--review",
        type=int,
        default=0,
        metavar="N",
        help="run over mirror images and folds as well, and list the N slices the model is least sure of (more than doubles the time)",
    )
    add_ray_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Segment what the options say."""
    from mednextseg.commands.case_output import case_output  # noqa: PLC0415
    from mednextseg.dicom_seg.writing import names_dicom_seg  # noqa: PLC0415
    from mednextseg.kernels.allocator import keep_freed_memory  # noqa: PLC0415
    from mednextseg.models.loaded_model import load_model  # noqa: PLC0415
    from mednextseg.segmentation_io import names_segmentation  # noqa: PLC0415

    keep_freed_memory()
    whole_number(options.review, "--review", 0)
    check_inputs(options.inputs)
    # A series may lie beside what was made of it; the output tells whether one case is meant.
    is_file = (names_segmentation(options.output) or names_dicom_seg(options.output)) and not options.output.is_dir()
    is_folder = len(options.inputs) == 1 and not is_file and is_folder_of_cases(options.inputs[0])
    check_ray_options(options, is_folder)
    if is_folder:
        if options.skip_map is not None:
            raise ValueError("--skip-map is for one case and the input is a folder of cases; leave it out, or name one image.")
        make_folder(options.output)
        return _run_folder(options, load_model(options.model))
    output = case_output(options.output, options.inputs, options.time_point)
    model = load_model(options.model)
    report = _run_case(options, model, output)
    if options.json:
        print(json.dumps(report))
    else:
        _print_summary(options.output, report, model.card.totals)
    return 0


def _run_case(options: argparse.Namespace, model: "LoadedModel", output: "CaseOutput") -> dict:
    from mednextseg.cases.channels import read_channels  # noqa: PLC0415
    from mednextseg.cases.sform_axes import seen_by  # noqa: PLC0415
    from mednextseg.segment.find_and_segment import find_and_segment  # noqa: PLC0415
    from mednextseg.segment.skip_labels import SKIP_LABELS  # noqa: PLC0415
    from mednextseg.segmentation_io import check_output, write_segmentation  # noqa: PLC0415

    recipe, names, roi, notes = _recipe(options), _names(options, model), _roi(options.roi), []
    start = time.perf_counter()
    with logged_warnings() as logged:
        volume, geometry = read_channels(output.inputs, notes.append, options.time_point)
    key = _run_key(options, model, output.inputs)
    output.check(geometry, model.card.labels, model.card)
    seen, roi = seen_by(model.card, output.inputs[0], geometry, roi, notes.append)
    if options.skip_map is not None:
        check_output(options.skip_map, (*output.inputs, output.path), geometry)
    read_seconds = time.perf_counter() - start
    with ConsoleProgress(output.path.name, quiet=options.json) as progress:
        labelmap_kji, report = find_and_segment(
            volume, seen, model, roi, names, recipe, options.device, progress=progress.show, whole=options.whole
        )
    report.notes = [*notes, *report.notes]
    start = time.perf_counter()
    output.write(labelmap_kji, geometry, report.labels, model.card, key)
    if options.skip_map is not None:
        write_segmentation(options.skip_map, report.skip_map_kji(geometry), geometry, SKIP_LABELS)
    write_seconds = time.perf_counter() - start
    report.seconds_by_phase = {"read": round(read_seconds, 3), **report.seconds_by_phase, "write": round(write_seconds, 3)}
    for line in (*report.warnings, *report.notes):
        print(f"mednextseg: {line}", file=sys.stderr)
    result = {"output": str(output.path), **report.to_dict(), "notes": [*logged, *report.notes]}
    if options.review > 0:
        names = [label.name for label in report.labels]
        result["review"] = review_of(volume, geometry, model, roi, names, recipe, options.device, options.whole, options.review)
    return result


def _run_folder(options: argparse.Namespace, model: "LoadedModel") -> int:
    """Every case of a folder; finished ones are not done again, failing ones are listed and do not stop the rest."""
    from mednextseg.commands.case_output import case_output  # noqa: PLC0415

    cases = image_files(options.inputs[0], len(model.card.channels))
    results, failed, others = [], {}, {}
    for number, (name, paths) in enumerate(cases.items(), start=1):
        output = options.output / f"{name}{'.dcm' if options.dicom_seg else '.seg.nrrd'}"
        shown_name = listed([name])
        try:
            if _is_done(output, _run_key(options, model, paths)):
                print(f"[{number}/{len(cases)}] {shown_name}: done before", file=sys.stderr)
            elif options.ray is not None:
                others[name] = output.absolute(), [path.absolute() for path in paths]
            else:
                print(f"[{number}/{len(cases)}] {shown_name}", file=sys.stderr)
                results.append(_run_case(options, model, case_output(output, paths, options.time_point)))
        except CASE_ERRORS as error:
            failed[name] = sentence_of(error)
            print(f"mednextseg: {shown_name}: {failed[name]}", file=sys.stderr)
    for name, answer in run_cohort(options, partial(_case_worker, _for_workers(options)), others, True).items():
        if answer.failure:
            failed[name] = answer.failure
            continue
        results.append(answer.value)
        for line in answer.value["notes"]:
            print(f"mednextseg: {listed([name])}: {line}", file=sys.stderr)
    if options.json:
        print(json.dumps({"cases": results, "failed": failed}))
    if failed:
        print(f"mednextseg: {len(failed)} of {len(cases)} cases failed: {listed(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def _for_workers(options: argparse.Namespace) -> argparse.Namespace:
    """The options for processes that start in another folder and show nobody a progress bar."""
    from mednextseg.models.library import found_from_anywhere  # noqa: PLC0415

    changes = {
        "model": found_from_anywhere(options.model),
        "recipe": None if options.recipe is None else options.recipe.absolute(),
        "json": True,
    }
    return argparse.Namespace(**{**vars(options), **changes})


def _case_worker(options: argparse.Namespace) -> Callable[[tuple[Path, list[Path]]], dict]:
    """In a process of a cohort: open the model, for the function that is called with output and images of each case."""
    from mednextseg.commands.case_output import case_output  # noqa: PLC0415
    from mednextseg.kernels.allocator import keep_freed_memory  # noqa: PLC0415
    from mednextseg.models.loaded_model import load_model  # noqa: PLC0415

    keep_freed_memory()
    model = load_model(options.model)
    return lambda case: _run_case(options, model, case_output(*case, options.time_point))


def _is_done(output: Path, key: str) -> bool:
    """Whether the same run wrote this file; one that another run of ours wrote is made again.

    Raises:
        FileExistsError: for a file that no run of ours wrote: it may be somebody's work.
    """
    from mednextseg.cases.done_before import recorded_run  # noqa: PLC0415

    if not output.exists():
        return False
    recorded = recorded_run(output)
    if recorded is None:
        raise FileExistsError(
            f"{output} is there and does not say which run made it; move it, or choose another output folder."
        )
    if recorded != key:
        print(f"mednextseg: {output.name} is of another model, recipe or image; it is made again.", file=sys.stderr)
    return recorded == key


def _run_key(options: argparse.Namespace, model: "LoadedModel", inputs: Sequence[Path]) -> str:
    from mednextseg.cases.done_before import run_key  # noqa: PLC0415

    more = () if options.time_point is None else (options.time_point,)
    return run_key(model.card, _recipe(options), inputs, _names(options, model), options.roi, options.whole, *more)


def _recipe(options: argparse.Namespace) -> "SegmentRecipe":
    from mednextseg.segment.recipe import SegmentRecipe  # noqa: PLC0415

    recipe = SegmentRecipe.from_json(options.recipe) if options.recipe else SegmentRecipe()
    if options.budget is not None:
        recipe = replace(recipe, budget=options.budget)
    if options.policy is not None:
        recipe = replace(recipe, window_policy=options.policy)
    return replace(recipe, tta=True) if options.tta else recipe


def _names(options: argparse.Namespace, model: "LoadedModel") -> list[str] | None:
    from mednextseg.labels.names import names_in  # noqa: PLC0415

    return None if options.labels is None else names_in(options.labels, [label.name for label in model.card.labels])


def _roi(text: str | None) -> object:
    from mednextseg.segment.roi import RegionOfInterest  # noqa: PLC0415

    if text is None:
        return None
    try:
        bounds = tuple(float(number) for number in text.split(","))
    except ValueError:
        bounds = ()
    if len(bounds) != 6:
        raise ValueError(f"--roi needs six numbers X0,X1,Y0,Y1,Z0,Z1 in RAS mm, got {text!r}.")
    return RegionOfInterest(bounds)


def _print_summary(output: Path, report: dict, totals: dict) -> None:
    from mednextseg.labels.volume_table import volume_rows  # noqa: PLC0415

    for row in volume_rows(report["volumes_ml"], totals):
        asymmetry = "" if row.asymmetry_percent is None else f"   left - right {row.asymmetry_percent:+6.1f} %"
        print(f"{row.name:30s} {row.volume_ml:10.2f} ml{asymmetry}")
    print_review(report.get("review", []))
    seconds, windows = sum(report["seconds_by_phase"].values()), report["windows"]
    looked_at = windows["full"] + windows["crop"] + windows["other"]
    if windows["skip"] or windows["crop"]:
        print(f"{looked_at} of {looked_at + windows['skip']} windows looked at ({windows['crop']} of them in part).")
    if windows["other"]:
        print(f"{windows['other']} of {looked_at} windows looked at by a cheaper model of the bank.")
    print(f"{output} written in {seconds:.1f} s on {report['device']}.")
