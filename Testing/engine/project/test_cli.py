"""The command line: what it writes, what it says, and its exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg import __version__
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library with the model "tiny" and a volume "in.nii.gz"."""
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    write_package(tmp_path / "models" / "tiny", tiny_mednext(), ("left", "right"))
    write_volume(tmp_path / "in.nii.gz")
    return tmp_path


def write_volume(path: Path, shape: tuple = (20, 24, 40), seed: int = 0) -> None:
    volume = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    write_image(image_of(volume, Geometry(shape, np.diag([1.0, 1.0, 1.0, 1.0]))), path)


def test_it_says_its_version(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said == f"mednextseg {__version__}\n" and __version__[0].isdigit()


def test_segment_writes_a_named_segmentation_and_reports_json(home: Path, capsys: pytest.CaptureFixture) -> None:
    output = home / "out.seg.nrrd"
    assert main(["segment", str(home / "in.nii.gz"), "-o", str(output), "--model", "tiny", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model_id"] == "tiny" and report["windows"]["full"] > 0
    segmentation = read_segmentation(output)
    assert [label.name for label in segmentation.labels] == ["left", "right"]
    volume_ml = (segmentation.labelmap_kji == 1).sum() / 1000
    assert report["volumes_ml"]["left"] == pytest.approx(volume_ml)


def test_what_was_said_of_a_file_stands_in_the_report_too(home: Path, capsys: pytest.CaptureFixture) -> None:
    image = nibabel.load(home / "in.nii.gz")
    moved = image.affine.copy()
    moved[2, 3] += 4
    image.set_sform(moved, 2)
    nibabel.save(image, home / "twice.nii.gz")
    assert main(["segment", str(home / "twice.nii.gz"), "-o", str(home / "out.nrrd"), "--model", "tiny", "--json"]) == 0
    said = capsys.readouterr()
    assert any("differ by up to 4 mm" in note for note in json.loads(said.out)["notes"])
    assert said.err.count("differ by up to 4 mm") == 1


def test_region_labels_and_recipe_are_honored(home: Path) -> None:
    recipe = home / "recipe.json"
    recipe.write_text(json.dumps({"overlap": 0.25, "postprocessing": {"right": {"keep_largest": True}}}))
    output = home / "out.nii.gz"
    arguments = ["--roi", "5,30,-100,100,0,9", "--labels", "right", "--recipe", str(recipe), "--tta"]
    assert main(["segment", str(home / "in.nii.gz"), "-o", str(output), "--model", "tiny", *arguments]) == 0
    labelmap = read_segmentation(output).labelmap_kji
    assert set(np.unique(labelmap)) == {0, 2}
    assert not labelmap[10:].any() and not labelmap[:, :, :5].any() and not labelmap[:, :, 31:].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "huge"], "no model 'huge'"),
        (["--model", "tiny", "--labels", "kidney"], "no label 'kidney'"),
        (["--model", "tiny", "--roi", "1,2,3"], "--roi needs six numbers"),
        (["--model", "tiny", "--roi", "900,950,0,9,0,9"], "outside the volume"),
        (["--model", "tiny", "--roi", "5.1,5.2,0,9,0,9"], "is 0.1 x 9 x 9 mm and has no center of a voxel inside"),
        (["--model", "tiny", "--device", "cuda:7"], "no device 'cuda:7'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_file(
    home: Path, capsys: pytest.CaptureFixture, arguments: list, message: str
) -> None:
    output = home / "out.seg.nrrd"
    assert main(["segment", str(home / "in.nii.gz"), "-o", str(output), *arguments]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mednextseg: ")]
    assert len(said) == 1 and message in said[0]
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "message"), [("absent", "there is no file or folder"), ("empty", "holds no image and no DICOM")]
)
def test_an_input_without_images_is_named_whatever_the_output(
    home: Path, capsys: pytest.CaptureFixture, name: str, message: str
) -> None:
    (home / "empty").mkdir()
    for output in ("out.nii.gz", "out"):
        assert main(["segment", str(home / name), "-o", str(home / output), "--model", "tiny"]) == 1
        assert message in capsys.readouterr().err and not (home / output).exists()


@pytest.mark.parametrize("name", ["in.nii.gz", "absent/out.nii.gz", "out.mhd"])
def test_an_output_that_cannot_be_written_is_refused_before_the_network_runs(
    home: Path, capsys: pytest.CaptureFixture, name: str
) -> None:
    before = (home / "in.nii.gz").read_bytes()
    assert main(["segment", str(home / "in.nii.gz"), "-o", str(home / name), "--model", "tiny"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("mednextseg: ") and len(said.splitlines()) == 1
    assert (home / "in.nii.gz").read_bytes() == before


def test_a_folder_of_cases_is_resumable_and_survives_a_bad_case(home: Path, capsys: pytest.CaptureFixture) -> None:
    cases, output = home / "cases", home / "results"
    cases.mkdir()
    for number in range(2):
        write_volume(cases / f"case{number}_0000.nii.gz", seed=number)
    (cases / "case9_0000.nii.gz").write_bytes(b"broken")
    command = ["segment", str(cases), "-o", str(output), "--model", "tiny"]
    assert main(command) == 1
    assert "1 of 3 cases failed: case9" in capsys.readouterr().err
    first = (output / "case0.seg.nrrd").stat().st_mtime_ns
    write_volume(cases / "case9_0000.nii.gz", seed=9)
    assert main(command) == 0
    assert "case0: done before" in capsys.readouterr().err
    assert (output / "case0.seg.nrrd").stat().st_mtime_ns == first
    assert sorted(path.name for path in output.iterdir()) == [f"case{n}.seg.nrrd" for n in (0, 1, 9)]


def test_models_list_show_and_verify(home: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "list", "--json"]) == 0
    assert "tiny" in [model["id"] for model in json.loads(capsys.readouterr().out)]
    assert main(["models", "show", "tiny"]) == 0
    assert "1 left, 2 right" in capsys.readouterr().out
    assert main(["models", "verify", "tiny"]) == 0
    (home / "models" / "tiny" / "weights.safetensors").write_bytes(b"")
    assert main(["models", "verify", "tiny"]) == 1
    assert "truncated or altered" in capsys.readouterr().out


def test_ctrl_c_in_the_middle_leaves_the_old_file(home: Path) -> None:
    output = home / "out.seg.nrrd"
    output.write_bytes(b"the old result")
    write_volume(home / "large.nii.gz", shape=(128, 128, 128))
    command = [sys.executable, "-m", "mednextseg", "segment", str(home / "large.nii.gz"), "-o", str(output), "--model", "tiny"]
    folder = Path(__file__).parents[3] / "MedNeXtSegment"
    # A shell that starts the tests in the background has them ignore Ctrl-C, and so would their children.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heard)
    try:
        for line in process.stderr:
            if "network" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "stopped" in rest
    assert output.read_bytes() == b"the old result"
    assert not list(home.glob(".mednextseg-*"))


_STOP_AT_IMPORT = """
import os, signal, sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))
sys.meta_path.insert(0, Stop())
signal.signal(signal.SIGINT, signal.default_int_handler)
from mednextseg.cli import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("module", "number"),
    [("argparse", signal.SIGINT), ("numpy", signal.SIGINT), ("torch", signal.SIGINT), ("numpy", signal.SIGTERM)],
)
def test_a_stop_while_modules_are_imported_ends_with_one_line(home: Path, module: str, number: int) -> None:
    arguments = ["segment", str(home / "in.nii.gz"), "-o", str(home / "out.nii.gz"), "--model", "tiny"]
    command = [sys.executable, "-c", _STOP_AT_IMPORT, module, str(int(number)), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.stderr == "mednextseg: stopped; nothing was left half-written.\n"
    assert ended.returncode == 128 + number
    assert not (home / "out.nii.gz").exists() and not list(home.glob(".mednextseg-*"))


def test_numbers_below_zero_may_follow_their_option(home: Path) -> None:
    output = home / "out.nii.gz"
    command = ["segment", str(home / "in.nii.gz"), "-o", str(output), "--model", "tiny", "--roi", "-5,30,-100,100,0,9"]
    assert main(command) == 0
    labelmap = read_segmentation(output).labelmap_kji
    assert labelmap.any() and not labelmap[10:].any() and not labelmap[:, :, 31:].any()


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), OverflowError("x"), IndexError("x"), AttributeError("x")])
def test_an_error_that_nobody_thought_of_is_still_one_sentence(
    home: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr("mednextseg.segmentation_io.check_output", fail)
    assert main(["segment", str(home / "in.nii.gz"), "-o", str(home / "out.nii.gz"), "--model", "tiny", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"mednextseg: an input has a form that was not expected ({type(error).__name__}")
    assert len(said.err.splitlines()) == 1 and "error" in json.loads(said.out)
