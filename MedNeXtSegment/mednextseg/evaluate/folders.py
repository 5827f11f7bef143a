"""Cases of an evaluation: which files belong together, measured one by one, resumable; a failing case is listed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mednextseg.cases.actors import Spread
from mednextseg.cases.folders import CASE_ERRORS, case_files, case_name, image_files, is_folder_of_cases
from mednextseg.dicom_frames import is_dicom
from mednextseg.dicom_seg.reading import lie_apart
from mednextseg.errors import sentence_of
from mednextseg.evaluate.case import CaseResult, evaluate_case, with_absent_labels
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.overlaps import read_whole_segments
from mednextseg.evaluate.stored_results import earlier_results, store_result, stored_result
from mednextseg.json_values import listed
from mednextseg.segmentation_io import has_table, read_segment_names


@dataclass(frozen=True)
class CaseFiles:
    """Files of one case; `image` only serves as the background of pictures."""

    name: str
    reference: Path
    prediction: Path
    image: Path | None = None


@dataclass
class Evaluation:
    """The outcome over all cases.

    Attributes:
        results: measured cases, in the order of their names.
        failed: case -> what went wrong, in one sentence.
        unmatched: sentences about files that found no partner.
    """

    results: list[CaseResult] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


def match_cases(
    reference: Path, prediction: Path, images: Path | None = None, only: Sequence[str] | None = None
) -> tuple[list[CaseFiles], Evaluation]:
    """Pair the files of two folders by case name, or two files.

    Args:
        images: folder or file of the images, for pictures; the first channel of each case is shown.
        only: cases that must be there; None for every case that has a prediction.
    Returns:
        The cases to measure; and an Evaluation that already lists what is missing.
    Raises:
        FileNotFoundError: where a path does not exist.
        ValueError: for a file against a folder, or folders without one case in common.
    """
    for path in (reference, prediction, *([images] if images else [])):
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}.")
    if reference.is_dir() != prediction.is_dir():
        raise ValueError(f"give two files or two folders, got {reference} and {prediction}.")
    if not reference.is_dir():
        name = case_name(reference)
        image = image_files(images).get(name, [None])[0] if images and is_folder_of_cases(images) else images
        return [CaseFiles(name, reference, prediction, image)], Evaluation()
    if images and not images.is_dir():
        raise ValueError(f"the images of folders of cases must be a folder, got the file {images}.")
    references, predictions = case_files(reference), case_files(prediction)
    backgrounds = {name: files[0] for name, files in image_files(images).items()} if images else {}
    wanted = list(only) if only is not None else sorted(set(references) & set(predictions))
    cases, evaluation = [], Evaluation()
    for name in wanted:
        if name in references and name in predictions:
            cases.append(CaseFiles(name, references[name], predictions[name], backgrounds.get(name)))
        else:
            evaluation.failed[name] = f"there is no {'reference' if name not in references else 'prediction'} for this case."
    if not cases and only is not None:
        both = listed(sorted(set(references) & set(predictions))[:8]) or "none"
        raise ValueError(f"no case of the chosen ones is in both folders; give some of theirs: {both}.")
    if not cases:
        raise ValueError(f"{reference} and {prediction} have no case in common; files are matched by name without suffix.")
    if only is None:
        _list_unmatched(evaluation, "prediction", set(references) - set(predictions))
        _list_unmatched(evaluation, "reference", set(predictions) - set(references))
    return cases, evaluation


def evaluate_files(
    cases: Sequence[CaseFiles],
    evaluation: Evaluation,
    options: MeasureOptions,
    output: Path,
    report: Callable[[int, str], None] = lambda number, text: None,
    failed_elsewhere: Mapping[str, str] | None = None,
) -> Evaluation:
    """Measure every case; results are kept under `output`/cases, so that an interrupted run goes on where it stopped.

    Args:
        evaluation: from `match_cases`; results are added to it.
        report: called with the case's number (from 1) and a line about it.
        failed_elsewhere: what `measure_elsewhere` returned; these are not tried again.
    """
    folder = output / "cases"
    folder.mkdir(parents=True, exist_ok=True)
    names = predicted_names([case.prediction for case in cases])
    for number, case in enumerate(cases, start=1):
        if failed_elsewhere and case.name in failed_elsewhere:
            evaluation.failed[case.name] = failed_elsewhere[case.name]
            continue
        name = listed([case.name])
        try:
            result, is_new = _measured(case, options, names, folder)
        except CASE_ERRORS as error:
            evaluation.failed[case.name] = sentence_of(error)
            report(number, f"{name}: {sentence_of(error)}")
            continue
        evaluation.results.append(result)
        dice = " ".join(f"{label} {metrics['dice']:.4f}" for label, metrics in list(result.labels.items())[:4]) or "of no label"
        report(number, f"{name}: {f'Dice {dice}' if is_new else 'done before'}")
        for note in result.notes:
            report(number, f"{name}: {note}")
    _settle(evaluation, options)
    return evaluation


def measure_elsewhere(spread: Spread, cases: Sequence[CaseFiles], options: MeasureOptions, output: Path) -> dict[str, str]:
    """Have cases without a stored result measured several at once, for an `evaluate_files` that follows and finds them done.

    Args:
        spread: has them done, and tells about their progress.
        cases, options, output: of the evaluation.
    Returns:
        The cases that failed, and why.
    """
    folder = output.absolute() / "cases"
    folder.mkdir(parents=True, exist_ok=True)
    names = predicted_names([case.prediction for case in cases])
    whole = [replace(case, reference=case.reference.absolute(), prediction=case.prediction.absolute()) for case in cases]
    left = {
        case.name: case
        for case in whole
        if stored_result(folder, case.name, (case.reference, case.prediction), options, names) is None
    }
    answers = spread(partial(_open_measuring, options, names, folder), left, False)
    return {name: answer.failure for name, answer in answers.items() if answer.failure}


def _open_measuring(options: MeasureOptions, names: Sequence[str], folder: Path) -> Callable[[CaseFiles], None]:
    """In a process of a cohort: what measures a case whose paths are absolute and keeps the result."""

    def measure(case: CaseFiles) -> None:
        _measured(case, options, names, folder)

    return measure


def add_earlier_cases(
    cases: Sequence[CaseFiles], evaluation: Evaluation, options: MeasureOptions, output: Path
) -> list[CaseFiles]:
    """Add what earlier runs into `output` measured in the same two folders by the same rules, so that no run loses another's cases.

    Args:
        cases, evaluation, options, output: after `evaluate_files`; results are added.
    Returns:
        The files of the cases added.
    """
    known = {*(case.name for case in cases), *evaluation.failed}
    parents = [cases[0].reference.parent, cases[0].prediction.parent]
    found = earlier_results(output / "cases", known, options, parents)
    evaluation.results = sorted([*evaluation.results, *(result for result, _ in found)], key=lambda result: result.case)
    _settle(evaluation, options)
    return [CaseFiles(result.case, *files) for result, files in found]


def _settle(evaluation: Evaluation, options: MeasureOptions) -> None:
    """Give each case the numbers that only other cases have; a case for which that leaves none cannot be judged."""
    evaluation.results = with_absent_labels(evaluation.results, options)
    for result in evaluation.results:
        if not result.labels:
            evaluation.failed[result.case] = (
                "neither side labels anything, nor says by names what it looked for; give --labels."
            )
    evaluation.results = [result for result in evaluation.results if result.labels]


def predicted_names(files: Sequence[Path]) -> tuple[str, ...]:
    """All segment names that any of the files has: a file that lacks one of them predicts it to be empty."""
    found: dict[str, None] = {}
    for file in files:
        if has_table(file) or is_dicom(file):
            try:
                found.update(dict.fromkeys(read_segment_names(file)))
            except ValueError:
                continue  # an unreadable case is reported when it is measured
    return tuple(found)


def _measured(case: CaseFiles, options: MeasureOptions, names: Sequence[str], folder: Path) -> tuple[CaseResult, bool]:
    """The stored result where it is of the same files and options, else a new one."""
    files = (case.reference, case.prediction)
    if (stored := stored_result(folder, case.name, files, options, names)) is not None:
        return stored, False
    reference, prediction = (read_whole_segments(file) for file in files)
    result = evaluate_case(case.name, reference, prediction, options, names)
    if all(is_dicom(file) for file in files) and lie_apart(*files):
        note = "reference and prediction say that they are of different frames of reference; check whether their places can be compared."
        result = replace(result, notes=(*result.notes, note))
    store_result(folder, result, files, options, names)
    return result, True


def _list_unmatched(evaluation: Evaluation, kind: str, names: set[str]) -> None:
    if names:
        shown = listed(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")
        evaluation.unmatched.append(f"{len(names)} case(s) have no {kind} and were not compared: {shown}.")
