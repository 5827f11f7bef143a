"""Numbers that once came out wrong without a word: cropped files, overlaps, large labels, absent labels, tables, caches, lost cases."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_inputs import JSON_VALUES, is_one_sentence

from mednextseg.cli import main
from mednextseg.evaluate.case import evaluate_case
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.evaluate.overlaps import read_whole_segments
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.labels.table_files import table_from_json
from mednextseg.layered_segmentation import LayeredSegmentation, write_layered
from mednextseg.segment_table import new_segments
from mednextseg.segmentation_io import Segmentation
from mednextseg.volume_io import image_of, write_image

GRID = Geometry((9, 10, 11), np.diag([1.0, 2.0, 1.5, 1.0]))
LABELS = (Label(1, "organ", (200, 0, 0)),)
FIELDS = ("labels", "reference", "prediction", "pairs", "tolerances_mm", "axial_range", "unions")
_INDEX = st.integers(0, 4)


@settings(max_examples=25, deadline=None)
@given(st.tuples(_INDEX, _INDEX, _INDEX), st.tuples(_INDEX, _INDEX, _INDEX), st.integers(0, 2**32 - 1), st.booleans())
def test_a_crop_of_either_file_changes_no_number(start: tuple, end: tuple, seed: int, crop_reference: bool) -> None:
    """The Dice of two files over the union of their boxes is that of the uncropped files in which the rest is empty."""
    random = np.random.default_rng(seed)
    whole, other = (random.random(GRID.shape_kji) < 0.3 for _ in range(2))
    stop = tuple(n - e for n, e in zip(GRID.shape_kji, end, strict=True))
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    kept = np.zeros_like(whole)
    kept[box] = whole[box]
    cropped = Segmentation(whole[box].astype(np.uint8), GRID.cropped(start, stop), LABELS)
    full = Segmentation(other.astype(np.uint8), GRID, LABELS)
    sides = (cropped, full) if crop_reference else (full, cropped)
    metrics = evaluate_case("case", *sides).labels["organ"]
    assert metrics["dice"] == pytest.approx(2 * (kept & other).sum() / (kept.sum() + other.sum()))
    volumes = (kept.sum() * 0.003, other.sum() * 0.003)
    assert (metrics["reference_ml"], metrics["prediction_ml"]) == pytest.approx(volumes if crop_reference else volumes[::-1])


def test_files_that_do_not_meet_say_so_and_files_worlds_apart_are_refused() -> None:
    mask = np.ones((3, 3, 3), np.uint8)
    reference = Segmentation(mask, Geometry((3, 3, 3), np.eye(4)), LABELS)

    def at(mm: float) -> Segmentation:
        matrix = np.eye(4)
        matrix[:3, 3] = mm
        return Segmentation(mask, Geometry((3, 3, 3), matrix), LABELS)

    result = evaluate_case("case", reference, at(40))
    assert result.labels["organ"]["dice"] == 0 and result.labels["organ"]["prediction_ml"] == pytest.approx(0.027)
    assert "no labeled voxel in common" in result.notes[1]
    with pytest.raises(ValueError, match="too far from the reference"):
        evaluate_case("case", reference, at(1e6))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_overlapping_segments_keep_every_voxel(
    tmp_path_factory: pytest.TempPathFactory, seed: int, layer_of: list[int]
) -> None:
    random = np.random.default_rng(seed)
    layers = random.integers(0, len(layer_of) + 2, (max(layer_of) + 1, 4, 5, 6)).astype(np.uint8)
    labels = [Label(value, f"s{value}", (1, 2, 3)) for value in range(1, len(layer_of) + 1)]
    segments = [
        type(segment)(**{**vars(segment), "layer": layer})
        for segment, layer in zip(new_segments(labels), layer_of, strict=True)
    ]
    file = tmp_path_factory.getbasetemp() / "overlap.seg.nrrd"
    write_layered(file, LayeredSegmentation(layers, Geometry((4, 5, 6), np.eye(4)), tuple(segments)))
    found = read_whole_segments(file)
    for label, layer in zip(labels, layer_of, strict=True):
        numbers = [entry.value for entry in found.labels if entry.name == label.name]
        assert np.array_equal(np.isin(found.labelmap_kji, numbers), layers[layer] == label.value)


def save(file: Path, array: np.ndarray, geometry: Geometry = GRID) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_image(image_of(array, geometry), file)
    return file


def box(size: int, value: int = 1, dtype: type = np.uint8) -> np.ndarray:
    array = np.zeros(GRID.shape_kji, dtype)
    array[:size, 2:6, 3:7] = value
    return array


def evaluate(tmp_path: Path, *more: str, output: str = "out") -> tuple[int, dict]:
    folders = ["--reference", str(tmp_path / "R"), "--prediction", str(tmp_path / "P"), "-o", str(tmp_path / output)]
    status = main(["evaluate", *folders, *more])
    file = tmp_path / output / "evaluation.json"
    return status, json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_large_labels_survive(tmp_path: Path, dtype: type) -> None:
    values = (300, 32768, 40000, 1_000_000)
    for name, size, kind in (("R", 4, dtype), ("P", 2, np.int32)):
        parts = [box(size, value, kind) for value in values]
        save(tmp_path / name / "a.nrrd", np.concatenate(parts), Geometry((36, 10, 11), GRID.ijk_to_ras))
    status, found = evaluate(tmp_path)
    assert status == 0 and set(found["summary"]) == {"mean", *map(str, values)}
    assert [found["summary"][str(value)]["dice"]["mean"] for value in values] == pytest.approx([2 / 3] * 4)


def test_a_label_that_both_files_of_a_case_lack_counts_as_found(tmp_path: Path) -> None:
    for case, (reference, prediction) in {"a": (4, 2), "b": (4, 0), "c": (0, 2), "d": (0, 0)}.items():
        save(tmp_path / f"R/{case}.nii.gz", box(reference))
        save(tmp_path / f"P/{case}.nii.gz", box(prediction))
    _, found = evaluate(tmp_path)
    assert found["failed"] == {} and found["summary"]["1"]["dice"]["cases"] == 4
    assert found["summary"]["1"]["dice"]["mean"] == pytest.approx((2 / 3 + 0 + 0 + 1) / 4)


def test_cases_without_partner_are_printed_and_change_the_status(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for case in ("a", "b"):
        save(tmp_path / f"R/{case}.nii.gz", box(4))
    save(tmp_path / "P/a.nii.gz", box(2))
    status, found = evaluate(tmp_path)
    assert status == 1 and [case["case"] for case in found["cases"]] == ["a"]
    assert "1 case(s) have no prediction and were not compared: b." in capsys.readouterr().err
    assert evaluate(tmp_path, "--cases", "a")[0] == 0, "a choice of cases is no gap"


@pytest.mark.parametrize("damage", ["", "{", "{}", "[]", "null", '{"fingerprint": 3}', "half", "no labels"])
def test_a_damaged_result_is_measured_again(tmp_path: Path, damage: str) -> None:
    save(tmp_path / "R/a.nii.gz", box(4))
    save(tmp_path / "P/a.nii.gz", box(2))
    _, expected = evaluate(tmp_path)
    stored = tmp_path / "out" / "cases" / "a.json"
    whole = stored.read_text(encoding="utf-8")
    lacking = json.loads(whole)
    del lacking["result"]["labels"]["1"]["dice"]
    stored.write_text(
        {"half": whole[: len(whole) // 2], "no labels": json.dumps(lacking)}.get(damage, damage), encoding="utf-8"
    )
    status, found = evaluate(tmp_path)
    assert status == 0 and found["cases"] == expected["cases"]
    assert json.loads(stored.read_text(encoding="utf-8")) == json.loads(whole)


def test_a_second_run_into_one_folder_keeps_the_cases_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for case, size in {"a": 2, "b": 3, "c": 4}.items():
        save(tmp_path / f"R/{case}.nii.gz", box(4))
        save(tmp_path / f"P/{case}.nii.gz", box(size))
    evaluate(tmp_path, "--cases", "a,b")
    status, found = evaluate(tmp_path, "--cases", "c")
    assert status == 0 and [case["case"] for case in found["cases"]] == ["a", "b", "c"]
    assert "2 case(s) of earlier runs" in capsys.readouterr().err
    save(tmp_path / "P/b.nii.gz", box(1))
    assert [case["case"] for case in evaluate(tmp_path, "--cases", "c")[1]["cases"]] == ["a", "c"], "b's result is out of date"


def test_one_image_for_a_folder_of_references_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    image = save(tmp_path / "image.nii.gz", box(4))
    for side in "RP":
        save(tmp_path / f"{side}/a.nii.gz", box(4))
    assert evaluate(tmp_path, "--images", str(image))[0] == 1
    assert "must be a folder, got the file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"0": "background", "1": "liver", "2": "spleen"}, {"liver": (1,), "spleen": (2,)}),
        ({"background": 0, "liver": 1, "spleen": 2}, {"liver": (1,), "spleen": (2,)}),
        ({"background": "0", "liver": "1"}, {"liver": (1,)}),
        ({"background": 0, "whole": [1, 2, 3], "core": ["2", 3.0], "ignore": 4}, {"whole": (1, 2, 3), "core": (2, 3)}),
        ({"1": "liver", "2": "liver"}, {"liver": (1, 2)}),
        ({"liver": 1.0}, {"liver": (1,)}),
    ],
)
def test_tables_of_numbers_and_of_names_are_read(raw: dict, expected: dict) -> None:
    assert table_from_json(raw) == expected
    assert MeasureOptions.from_dict({"labels": raw, "numTraining": 3}).reference_table == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"1": "liver"}, {"liver": (1,)}),
        ({"0": "background", "1": "liver", "02": "Ünï 肺, left"}, {"liver": (1,), "Ünï 肺, left": (2,)}),
        ({"Background": 0, "liver": 1, "spleen": [2, 3]}, {"liver": (1,), "spleen": (2, 3)}),
    ],
    ids=["one number", "numbers", "names"],
)
def test_a_file_that_is_nothing_but_a_table_is_one(raw: dict, expected: dict) -> None:
    options = MeasureOptions.from_dict(raw)
    assert options.reference_table == options.prediction_table == expected


@pytest.mark.parametrize("raw", [{"numTraining": 5}, {"liver": 1}, {"1": 2}, {"background": False, "liver": 1}, {}], ids=str)
def test_a_file_that_may_be_something_else_is_no_table(raw: dict) -> None:
    with pytest.raises(ValueError, match="a labels file needs at least one of"):
        MeasureOptions.from_dict(raw)


def test_names_that_nothing_has_are_told() -> None:
    options = MeasureOptions.from_dict(
        {"tolerances_mm": {"Liver": 2, "livre": 1}, "pairs": {"hepar": "liver", "lien": "splen"}}
    )
    measured = ["liver", "spleen", "two\nlines"]
    assert options.unused(measured) == [
        f"the labels file has {what} for {name}, which nothing measured is called; it has: liver, spleen, 'two\\nlines'."
        for what, name in (("a tolerance", "livre"), ("a pair", "splen"))
    ]
    assert not MeasureOptions().unused(measured)


@settings(max_examples=80)
@given(
    JSON_VALUES
    | st.dictionaries(st.sampled_from(["labels", "reference", "pairs", "tolerances_mm", "axial_range", "unions"]), JSON_VALUES)
)
def test_a_labels_file_of_any_content_is_read_or_refused_in_one_sentence(raw: object) -> None:
    try:
        options = MeasureOptions.from_dict(raw)
    except ValueError as error:
        assert is_one_sentence(error)
        return
    assert all(mm >= 0 for mm in options.tolerances_mm.values())
    for table in (options.reference_table, options.prediction_table):
        assert table is None or all(number >= 1 for numbers in table.values() for number in numbers)
