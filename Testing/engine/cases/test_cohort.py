"""Cohorts by Ray on this machine: no case is lost where processes end, and outputs are those of a plain folder run."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.cases.actors import CaseAnswer, connected, run_on_actors
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; pip install '.[cohort]'.")
CASES = ("one", "three", "two")


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    """Ray on this machine for all tests of the file; runs inside take it as they find it."""
    with ExitStack() as stack:
        # Ray's workers are polite to everything else (nice 15), which on a busy machine would be most of a test's time.
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("RAY_worker_niceness", "0")
        try:
            stack.enter_context(connected("local"))
        except RuntimeError as error:
            if "timed out during startup" not in str(error):
                raise
            pytest.skip(
                "Ray gives itself half a minute to start, which this machine is too busy for; run it again when it is not."
            )
        yield


def work_in(folder: str) -> Callable[[], Callable[[str], str]]:
    """Nested, so that it travels by value: other processes do not know the tests."""

    def open_work() -> Callable[[str], str]:
        try:
            Path(folder, "opened").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            raise ValueError("the first machine has no such model.")

        def work(case: str) -> str:
            marker = Path(folder, case)
            is_first = not marker.exists()
            marker.touch()
            if case == "ends always" or (case.startswith("ends once") and is_first):
                os._exit(1)
            if case == "no disk" and is_first:
                raise OSError("the disk is full.")
            if case in ("no image", "no disk ever"):
                raise (ValueError if case == "no image" else OSError)(f"{case}.")
            return case.upper()

        return work

    return open_work


@needs_ray
def test_actors_that_end_lose_no_case(here: None, tmp_path: Path) -> None:
    usual = [f"case {number}" for number in range(20)]
    odd = ["ends once", "ends always", "no disk", "no disk ever", "no image"]
    cases = {name: name for name in (*odd[:2], *usual, *odd[2:])}
    told: list[tuple[str, CaseAnswer]] = []
    run_on_actors(work_in(str(tmp_path)), cases, lambda *answer: told.append(answer), actors=3)
    answers = dict(told)
    assert len(told) == len(answers) == len(cases)
    right = [*usual, "ends once", "no disk"]
    assert [answers[name].value for name in right] == [name.upper() for name in right]
    assert len({answers[name].actor for name in right}) >= 2
    failures = {name: answer.failure for name, answer in answers.items() if answer.failure}
    assert failures == {
        "ends always": "its process ended 3 times while it ran, probably for want of memory.",
        "no disk ever": "no disk ever.",
        "no image": "no image.",
    }


@needs_ray
def test_work_that_cannot_be_opened_ends_in_a_sentence(here: None) -> None:
    def open_work() -> Callable[[str], str]:
        raise ValueError("there is no model x.")

    with pytest.raises(RuntimeError, match=r"no worker could be started \(.*there is no model x"):
        run_on_actors(open_work, {"one": "one"}, lambda *answer: None, actors=1)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three cases, and a model beside their folder."""
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(CASES):
        voxels = np.random.default_rng(seed).normal(size=(18, 17, 20)).astype(np.float32)
        write_image(image_of(voxels, Geometry(voxels.shape, np.eye(4))), tmp_path / "in" / f"{name}.nii.gz")
    write_package(tmp_path / "model", tiny_mednext(), ("left", "right"))
    return tmp_path / "in"


def segmented(images: Path, output: str, *more: str) -> int:
    arguments = ["segment", str(images), "-o", str(images.parent / output), "--model", str(images.parent / "model")]
    return main([*arguments, *more])


@needs_ray
def test_segment_and_evaluate_give_what_they_give_without_it(here: None, images: Path, capsys: pytest.CaptureFixture) -> None:
    assert segmented(images, "plain") == 0
    (images / "zz.nii.gz").write_bytes(b"no image")
    capsys.readouterr()
    assert segmented(images, "spread", "--ray", "--workers", "1", "--json") == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert list(answer["failed"]) == ["zz"] and len(answer["cases"]) == 3 and "1 of 4 cases failed: zz" in said.err
    assert "seconds a case" in said.err and "[4/4]" not in said.out
    for name in CASES:
        plain, spread = (read_segmentation(images.parent / folder / f"{name}.seg.nrrd") for folder in ("plain", "spread"))
        assert np.array_equal(plain.labelmap_kji, spread.labelmap_kji) and plain.labelmap_kji.any()
    (images / "zz.nii.gz").unlink()
    assert segmented(images, "spread", "--ray") == 0
    assert capsys.readouterr().err.count("done before") == 3
    tables = []
    for output, more in (("measured", []), ("measured by ray", ["--ray", "--workers", "1"])):
        pair = ["--reference", str(images.parent / "plain"), "--prediction", str(images.parent / "spread")]
        assert main(["evaluate", *pair, "-o", str(images.parent / output), *more]) == 0
        tables.append((images.parent / output / "metrics.csv").read_text(encoding="utf-8"))
    assert tables[0] == tables[1] and "three" in tables[0]
    assert capsys.readouterr().err.count("done before") == 3, "measured by Ray, then only read"


@needs_ray
def test_a_table_of_models_runs_and_measures_its_cases_by_ray(
    here: None, images: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert segmented(images, "plain") == 0
    (images / "three.nii.gz").write_bytes(b"no image")
    dataset = {"name": "noise", "images": "in", "references": "plain"}
    models = [{"name": "tiny", "model": "model"}, {"name": "gone", "model": "no-such-model"}]
    (images.parent / "plan.json").write_text(json.dumps({"models": models, "datasets": [dataset]}), encoding="utf-8")
    monkeypatch.chdir(images.parent)  # paths of the plan are relative, and workers start elsewhere
    capsys.readouterr()
    table = ["evaluate", "--table", "plan.json", "-o", "table", "--ray", "--workers", "1", "--json"]
    assert main(table) == 1
    said = capsys.readouterr()
    outcome = json.loads(said.out)
    assert list(outcome["failed"]) == ["tiny / noise / three", "gone / noise"]
    assert "cannot be read" in outcome["failed"]["tiny / noise / three"]
    tiny, gone = outcome["cells"]
    assert (tiny["cases"], gone["cases"]) == (2, 0)
    assert tiny["mean"]["dice"]["mean"] == 1 and tiny["seconds_per_case"] > 0 and tiny["peak_memory_mb"] > 50
    assert said.err.count("seconds a case") == 2, "a table of workers for the runs, and one for the measures"
    (images / "three.nii.gz").unlink()
    assert main(table) == 1
    said = capsys.readouterr()
    again = json.loads(said.out)
    assert again["cells"] == outcome["cells"] and list(again["failed"]) == ["gone / noise"]
    assert "seconds a case" not in said.err, "nothing was left to be done"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--workers", "2"], "--workers needs --ray"),
        (["--ray", "--workers", "0"], "a number from 1 on, got 0"),
        (["--ray", "--device", "cuda:1"], "say auto or cpu, not --device cuda:1"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    images: Path, more: list[str], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    assert segmented(images, "out", *more) == 1
    assert sentence in capsys.readouterr().err and not (images.parent / "out").exists()


def test_one_volume_is_no_cohort(images: Path, capsys: pytest.CaptureFixture) -> None:
    pair = ["-o", str(images.parent / "one.seg.nrrd"), "--model", str(images.parent / "model"), "--ray"]
    assert main(["segment", str(images / "one.nii.gz"), *pair]) == 1
    assert "--ray is for folders of cases" in capsys.readouterr().err
