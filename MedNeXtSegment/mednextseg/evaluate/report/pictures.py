"""Pictures of the worst cases: the files are read again, only for the few that are shown."""

from collections.abc import Sequence

from mednextseg.evaluate.case import CaseResult, align
from mednextseg.evaluate.folders import CaseFiles, predicted_names
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.overlaps import read_whole_segments
from mednextseg.evaluate.report.figures import error_views
from mednextseg.evaluate.report.summary import worst
from mednextseg.volume_io import read_volume


def worst_case_pictures(
    cases: Sequence[CaseFiles], results: Sequence[CaseResult], options: MeasureOptions, count: int
) -> list[tuple[str, bytes]]:
    """(caption, PNG) of the cases with the lowest Dice, three planes through the largest error each."""
    files = {case.name: case for case in cases}
    by_name = {result.case: result for result in results}
    names = predicted_names([case.prediction for case in cases])
    pictures = []
    for case, label in worst(results, count):
        place_ras, metrics = by_name[case].largest_error_ras.get(label), by_name[case].labels[label]
        if place_ras is None:
            continue
        reference, prediction = (read_whole_segments(f) for f in (files[case].reference, files[case].prediction))
        aligned = align(reference, prediction, options, names)
        pair = next(pair for pair in aligned.join.pairs if pair.name == label)
        image, geometry = read_volume(files[case].image) if files[case].image else (None, None)
        where = ", ".join(f"{mm:.1f}" for mm in place_ras)
        caption = (
            f"{case}, {label}: Dice {metrics['dice']:.4f}, surface Dice {metrics['nsd']:.4f}. Green: reference, red: prediction; "
            f"the cross marks the largest error at RAS {where} mm."
        )
        pictures.append((caption, error_views(aligned, pair, place_ras, image, geometry)))
    return pictures
