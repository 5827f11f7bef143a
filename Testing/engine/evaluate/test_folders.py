"""Whole evaluations: files of two folders, grids that differ, names, resuming, failing cases, and the report."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from dicom_files import others_seg, placed, saved, write_slices

from mednextseg.commands.evaluate import add_to, wanted_cases
from mednextseg.evaluate.case import axial_axis_kji, evaluate_case
from mednextseg.evaluate.folders import Evaluation, evaluate_files, match_cases
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.report.summary import bootstrap_mean, summarize, worst
from mednextseg.geometry import Geometry, axis_map
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import Segmentation, read_segment_names, write_segmentation
from mednextseg.volume_io import image_of, write_image

_LABELS = (Label(1, "liver", (200, 80, 80)), Label(2, "left kidney", (80, 200, 80)))


def geometry(shape: tuple[int, int, int] = (14, 16, 18), spacing_ijk: tuple = (1.0, 1.5, 3.0)) -> Geometry:
    matrix = np.diag([*spacing_ijk, 1.0])
    matrix[:3, 3] = (-20, 5, 40)
    return Geometry(shape, matrix)


def organs(shift: int = 0, shape: tuple[int, int, int] = (14, 16, 18)) -> np.ndarray:
    labelmap = np.zeros(shape, dtype=np.uint8)
    labelmap[3:9, 3:10, 2 + shift : 9 + shift] = 1
    labelmap[4:8, 4:9, 12 : 15 - shift] = 2
    return labelmap


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases: perfect, shifted by a voxel, shifted by two; predictions as .seg.nrrd, references as plain NIfTI."""
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    reference.mkdir()
    prediction.mkdir()
    for number in range(3):
        write_image(image_of(organs(), geometry()), reference / f"case{number}.nii.gz")
        write_segmentation(prediction / f"case{number}.seg.nrrd", organs(number), geometry(), _LABELS)
    return reference, prediction


_SETTINGS = MeasureOptions.from_dict({"labels": {"background": 0, "liver": 1, "kidney_left": 2}})


def measure(folders: tuple[Path, Path], output: Path, lines: list[str] | None = None) -> Evaluation:
    cases, evaluation = match_cases(*folders)
    return evaluate_files(cases, evaluation, _SETTINGS, output, lambda number, text: (lines or []).append(text))


def test_a_folder_is_measured_by_name_and_a_second_run_measures_nothing_again(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    lines: list[str] = [""]
    first = measure(folders, tmp_path / "out", lines)
    assert [result.case for result in first.results] == ["case0", "case1", "case2"]
    assert first.results[0].labels["liver"]["dice"] == 1
    assert first.results[1].labels["liver"]["dice"] == pytest.approx(6 / 7)
    assert set(first.results[0].labels) == {"liver", "kidney_left"}, "named as the reference names them"
    again: list[str] = [""]
    second = measure(folders, tmp_path / "out", again)
    assert [result.labels for result in second.results] == [result.labels for result in first.results]
    assert again[1:] == [f"case{n}: done before" for n in range(3)]
    write_segmentation(folders[1] / "case2.seg.nrrd", organs(0), geometry(), _LABELS)
    assert measure(folders, tmp_path / "out").results[2].labels["liver"]["dice"] == 1, "a changed file is measured again"


def test_a_case_that_cannot_be_read_is_listed_and_the_rest_goes_on(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "case1.seg.nrrd").write_bytes(b"no image")
    evaluation = measure(folders, tmp_path / "out")
    assert [result.case for result in evaluation.results] == ["case0", "case2"]
    assert "cannot be read" in evaluation.failed["case1"]


def test_cases_asked_for_must_be_there_and_others_without_partner_are_mentioned(folders: tuple[Path, Path]) -> None:
    (folders[1] / "case2.seg.nrrd").unlink()
    cases, evaluation = match_cases(*folders)
    assert [case.name for case in cases] == ["case0", "case1"]
    assert "1 case(s) have no prediction" in evaluation.unmatched[0]
    _, strict = match_cases(*folders, only=["case0", "case2"])
    assert strict.failed == {"case2": "there is no prediction for this case."}
    with pytest.raises(ValueError, match="two files or two folders"):
        match_cases(folders[0], folders[1] / "case0.seg.nrrd")


def test_a_segment_that_one_file_lacks_counts_as_empty_when_other_files_have_it(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    only_liver = np.where(organs(0) == 1, organs(0), 0)
    write_segmentation(folders[1] / "case0.seg.nrrd", only_liver, geometry(), _LABELS[:1])
    assert read_segment_names(folders[1] / "case0.seg.nrrd") == ("liver",)
    evaluation = measure(folders, tmp_path / "out")
    assert evaluation.results[0].labels["kidney_left"]["dice"] == 0
    assert evaluation.results[0].labels["kidney_left"]["predicted_as_ml"]["background"] > 0


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SLA", "PIR"])
def test_a_prediction_on_turned_axes_is_the_same_prediction(orientation: str) -> None:
    turn = axis_map("RAS", orientation)
    prediction = Segmentation(turn.apply(organs(1)), turn.apply_geometry(geometry()), _LABELS)
    reference = Segmentation(organs(), geometry(), _LABELS)
    result = evaluate_case("case", reference, prediction)
    expected = evaluate_case("case", reference, Segmentation(organs(1), geometry(), _LABELS))
    for name, metrics in expected.labels.items():
        assert result.labels[name]["dice"] == pytest.approx(metrics["dice"])
    assert len(result.notes) == (0 if orientation == "RAS" else 1)
    assert axial_axis_kji(turn.apply_geometry(geometry())) == 2 - orientation.replace("I", "S").index("S")


def test_a_prediction_on_a_finer_grid_is_resampled_onto_the_reference_with_a_note() -> None:
    fine_matrix = geometry().ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1.0])
    fine_matrix[:3, 3] = geometry().ras_from_ijk((-0.25, -0.25, -0.25))
    fine = organs().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    prediction = Segmentation(fine, Geometry(fine.shape, fine_matrix), _LABELS)
    result = evaluate_case("case", Segmentation(organs(), geometry(), _LABELS), prediction)
    assert result.labels["liver"]["dice"] > 0.99
    assert "resampled onto the reference" in result.notes[0]


def test_the_largest_error_is_given_in_ras() -> None:
    wrong = organs()
    wrong[3:9, 3:10, 2:9] = 0
    reference = Segmentation(organs(), geometry(), _LABELS)
    result = evaluate_case("case", reference, Segmentation(wrong, geometry(), _LABELS))
    i, j, k = geometry().ijk_from_ras(result.largest_error_ras["liver"])
    assert organs()[round(k), round(j), round(i)] == 1
    assert result.largest_error_ras["left kidney"] is None


def test_plain_volumes_without_names_are_compared_by_number_missing_numbers_included() -> None:
    numbered = (Label(1, "1", (0, 0, 0)), Label(2, "2", (0, 0, 0)))
    only_one = np.where(organs() == 1, 1, 0).astype(np.uint8)
    result = evaluate_case(
        "case", Segmentation(organs(), geometry(), numbered), Segmentation(only_one, geometry(), numbered[:1])
    )
    assert (result.labels["1"]["dice"], result.labels["2"]["dice"]) == (1, 0)


def test_a_labels_file_gives_names_pairs_and_tolerances(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    raw = {
        "labels": {"background": 0, "hepar": 1},
        "pairs": {"liver": "hepar"},
        "tolerances_mm": {"hepar": 7},
        "numTraining": 3,
    }
    path.write_text(json.dumps(raw), encoding="utf-8")
    options = MeasureOptions.from_text(str(path))
    plain = Segmentation(organs(), geometry(), (Label(1, "1", (0, 0, 0)), Label(2, "2", (0, 0, 0))))
    result = evaluate_case("case", plain, Segmentation(organs(1), geometry(), _LABELS), options)
    assert result.labels["hepar"]["tolerance_mm"] == 7
    assert result.only_prediction == ("left kidney",)
    assert MeasureOptions.from_text("AMOS").reference_table["liver"] == (6,)
    with pytest.raises(ValueError, match="at least one of labels"):
        MeasureOptions.from_dict({"names": {}})


def test_bootstrap_intervals_hold_the_mean_shrink_with_cases_and_ignore_undefined_values() -> None:
    random = np.random.default_rng(0)
    few, many = (bootstrap_mean(random.normal(0.8, 0.1, n)) for n in (10, 400))
    assert few.low < few.mean < few.high
    assert many.high - many.low < 0.5 * (few.high - few.low)
    # The normal approximation is the independent computation here.
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(400), rel=0.15)
    with_gap = bootstrap_mean(np.array([0.2, np.nan, 0.4]))
    assert (with_gap.cases, with_gap.mean) == (2, pytest.approx(0.3))
    assert bootstrap_mean(np.array([np.nan])).mean is None


def test_labels_of_one_patient_are_drawn_together() -> None:
    # Four labels that always agree carry no more information than one.
    column = np.random.default_rng(1).normal(0.8, 0.1, 30)
    one, four = bootstrap_mean(column), bootstrap_mean(np.repeat(column[:, None], 4, axis=1))
    assert (four.low, four.high) == pytest.approx((one.low, one.high))


class _Links(HTMLParser):
    """Collects everything a page would load, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def run_command(arguments: list[str]) -> int:
    import argparse

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser()
    add_to(parser.add_subparsers(), common)
    options = parser.parse_args(["evaluate", *arguments])
    return options.run(options)


def test_the_command_writes_csv_json_and_a_page_that_loads_nothing(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    labels, output = tmp_path / "dataset.json", tmp_path / "out"
    labels.write_text(json.dumps({"labels": {"background": 0, "liver": 1, "kidney_left": 2}}), encoding="utf-8")
    (folders[1] / "case1.seg.nrrd").write_bytes(b"<script>alert(1)</script>")
    arguments = ["--reference", str(folders[0]), "--prediction", str(folders[1]), "--labels", str(labels), "-o", str(output)]
    assert run_command([*arguments, "--json"]) == 1, "a case failed"
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["failed"]) == {"case1"}
    rows = list(csv.DictReader(io.StringIO((output / "metrics.csv").read_text(encoding="utf-8"))))
    assert [(row["case"], row["label"]) for row in rows if row["label"]] == [
        (case, label) for case in ("case0", "case2") for label in ("liver", "kidney_left")
    ]
    dice = [float(row["dice"]) for row in rows if row["label"] == "liver"]
    stored = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["summary"]["liver"]["dice"]["mean"] == pytest.approx(np.mean(dice))
    text = (output / "report.html").read_text(encoding="utf-8")
    links = _Links()
    links.feed(text)
    assert links.open == []
    assert links.sources, "there are pictures"
    assert all(source.startswith("data:image/png;base64,") for source in links.sources)
    assert "case1" in text
    assert text.count("<script>") == 1, "text from files is escaped"
    assert len(re.findall("<figure>", text)) >= 3 + 2 + 2, "box plots, Bland-Altman plots, worst cases"


def test_the_worst_cases_come_first_and_each_label_has_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    results = measure(folders, tmp_path / "out").results
    # The kidney of case2 shrank to a third, its liver moved by two of seven columns.
    assert worst(results, 3)[:2] == [("case2", "kidney_left"), ("case2", "liver")]
    assert set(summarize(results)) == {"liver", "kidney_left", "mean"}


def test_chosen_cases_that_are_in_no_folder_are_told(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"no case of the chosen ones is in both folders; give some of theirs: case0, case1"):
        match_cases(*folders, only=["other"])


def test_validation_cases_come_from_a_splits_file(tmp_path: Path) -> None:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["a"], "val": ["b", "c"]}]), encoding="utf-8")
    assert wanted_cases(str(path)) == ["b", "c"]
    assert wanted_cases("x, y") == ["x", "y"]
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="has no train and no val"):
        wanted_cases(str(path))


def test_dicom_segmentations_are_compared_and_other_frames_of_reference_told(tmp_path: Path) -> None:
    grid = placed((4, 5, 7), (0.7, 0.9, 2.5), (10, -35, 70))
    series = write_slices(tmp_path / "in", np.zeros((4, 5, 7), np.int16), grid)
    masks = np.zeros((4, 5, 7, 2), bool)
    masks[1:3, 1:4, 1:6, 0] = masks[2, 2:, 2:, 1] = True
    moved = np.roll(masks, 1, axis=2)
    for name, own in (("reference", masks), ("prediction", moved)):
        dataset = others_seg(series, own)
        if name == "prediction":
            dataset.FrameOfReferenceUID = "1.2.3"
        (tmp_path / name).mkdir()
        saved(dataset, tmp_path / name / "case.dcm")
    evaluation = evaluate_files(
        *match_cases(tmp_path / "reference", tmp_path / "prediction"), MeasureOptions(), tmp_path / "out"
    )
    (result,) = evaluation.results
    for n, name in enumerate(("part 1", "part 2")):
        both = (masks[..., n] & moved[..., n]).sum()
        assert result.labels[name]["dice"] == pytest.approx(2 * both / (masks[..., n].sum() + moved[..., n].sum()))
    assert "different frames of reference" in " ".join(result.notes)
