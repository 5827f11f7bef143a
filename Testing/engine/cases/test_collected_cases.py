"""Cases collected for adapting: kept whole, listed, replaced, removed, learned from; and what is damaged is said."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from little_room import little_room

from mednextseg.adapt.tuning.collected_cases import collected_to_learn
from mednextseg.cases.collected import CASE_FILE, collected_cases, collected_folder, remove_case
from mednextseg.cases.collecting import collect_case
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.machine import HOME_VARIABLE
from mednextseg.segmentation_io import Segmentation

SHAPE = (4, 5, 6)
OBLIQUE = np.array([[0.0, -0.8, 0.9, 3.0], [0.0, 0.6, 1.2, -4.0], [2.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, 1.0]])
BASE = {"id": "bright", "version": "1.0.0", "weights_sha256": ["ab"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def drawn(geometry: Geometry, labels: tuple[str, ...] = ("Ball", "Lamp")) -> Segmentation:
    """The first label in a corner, the others empty."""
    labelmap = np.zeros(geometry.shape_kji, dtype=np.int16)
    labelmap[:2, :3, :2] = 1
    return Segmentation(labelmap, geometry, tuple(Label(n, name, (9, 9, 9)) for n, name in enumerate(labels, start=1)))


def collected(volume: np.ndarray | None = None, name: str = "Scan", labels: tuple[str, ...] = ("Ball", "Lamp"), **more: object):
    volume = np.arange(120, dtype=np.int16).reshape(SHAPE) if volume is None else volume
    geometry = Geometry(volume.shape, OBLIQUE)
    return collect_case(name, [(volume, geometry)], drawn(geometry, labels), **more)


@settings(max_examples=12)
@given(dtype=st.sampled_from(["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"]), seed=st.integers(0, 99))
def test_a_case_comes_back_as_it_was(dtype: str, seed: int) -> None:
    volume = np.random.default_rng(seed).uniform(0, 100, SHAPE).astype(dtype)
    case = collected(volume)
    read = collected_to_learn(1, [case.id])[0].opened()
    assert read.volume.dtype == volume.dtype and np.array_equal(read.volume, volume)
    assert np.allclose(read.geometry.ijk_to_ras, OBLIQUE)
    assert np.array_equal(read.segmentation.labelmap_kji, drawn(read.geometry).labelmap_kji)
    assert [label.name for label in read.segmentation.labels] == ["Ball", "Lamp"]


def test_the_list_says_whose_case_it_is_and_a_second_one_of_the_volume_replaces_it() -> None:
    journal = json.dumps({"format": "a journal"})
    first = collected(base=BASE, journals=[journal])
    other = collected(np.ones(SHAPE, dtype=np.float32))
    cases, damaged = collected_cases()
    assert not damaged and {case.id for case in cases} == {first.id, other.id}
    assert len({case.full_name for case in cases}) == 2  # of one name
    kept = next(case for case in cases if case.id == first.id)
    assert (kept.name, kept.labels, kept.channels, kept.base) == ("Scan", ("Ball", "Lamp"), 1, BASE)
    assert (kept.folder / "journal_0.json").read_text() == journal
    again = collected(labels=("Ball",))
    kept = next(case for case in collected_cases()[0] if case.id == again.id)
    assert again.id == first.id and kept.labels == ("Ball",) and not (kept.folder / "journal_0.json").exists()
    assert sorted(folder.name for folder in collected_folder().iterdir()) == sorted([first.id, other.id])


def test_several_channels_are_one_case() -> None:
    geometry = Geometry(SHAPE, OBLIQUE)
    volumes = [(np.full(SHAPE, value, dtype=np.float32), geometry) for value in (1, 2)]
    case = collect_case("Two", volumes, drawn(geometry))
    assert collected_to_learn(2)[0].opened().volume.shape == (2, *SHAPE)
    with pytest.raises(ValueError, match=rf"needs 1 channels, and these .* Two \({case.id[:6]}\)"):
        collected_to_learn(1)


def test_damaged_cases_are_said_and_can_be_removed() -> None:
    case, whole = collected(), collected(np.ones(SHAPE, dtype=np.float32))
    for content in ("{", "{}", json.dumps({**case.to_dict(), "labels": 3}), json.dumps({**case.to_dict(), "version": 99})):
        (case.folder / CASE_FILE).write_text(content)
        cases, damaged = collected_cases()
        assert [found.id for found in cases] == [whole.id]
        assert list(damaged) == [case.id] and f"the collected case {case.id} is damaged" in damaged[case.id]
    (case.folder / CASE_FILE).write_text(json.dumps(case.to_dict()))
    assert len(collected_cases()[0]) == 2
    (case.folder / "segmentation.seg.nrrd").unlink()
    assert "segmentation.seg.nrrd is missing" in collected_cases()[1][case.id]
    remove_case(case.id)
    assert not collected_cases()[1] and not case.folder.exists()
    whole.images[0].write_bytes(whole.images[0].read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"the case Scan .* cannot be used"):
        collected_to_learn(1)[0].opened()
    collected(2 * np.ones(SHAPE, dtype=np.float32)).images[0].replace(whole.images[0])
    with pytest.raises(ValueError, match="its image is not the one that was collected"):
        collected_to_learn(1, [whole.id])[0].opened()


@pytest.mark.parametrize("size", [10, 1000])
def test_a_full_disk_leaves_the_old_case(size: int) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, (9, 20, 20)).astype(np.int16)
    case = collected(volume, base=BASE)
    with little_room(size), pytest.raises(OSError, match=r"could not be written|nothing could be added") as error:
        collected(volume, labels=("Other",))
    assert "\n" not in str(error.value)
    assert [(found.id, found.labels) for found in collected_cases()[0]] == [(case.id, ("Ball", "Lamp"))]
    assert collected_to_learn(1)[0].opened().volume.shape == volume.shape
    assert [folder.name for folder in collected_folder().iterdir()] == [case.id]


def test_what_cannot_be_collected_or_found_is_said() -> None:
    geometry = Geometry(SHAPE, OBLIQUE)
    empty = Segmentation(np.zeros(SHAPE, dtype=np.int16), geometry, (Label(1, "Ball", (1, 2, 3)),))
    with pytest.raises(ValueError, match="nothing is drawn"):
        collect_case("Scan", [(np.ones(SHAPE), geometry)], empty)
    with pytest.raises(ValueError, match="no case was collected yet"):
        collected_to_learn(1)
    with pytest.raises(ValueError, match="there is no collected case abc; there is none yet"):
        remove_case("abc")
    collected()
    with pytest.raises(ValueError, match=r"there is no collected case \.\./\.\.; there are"):
        remove_case("../..")


def test_the_command_lists_and_removes(capsys: pytest.CaptureFixture) -> None:
    case = collected(name="Two\nlines", base=BASE)
    assert main(["cases", "list"]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and case.id in line and "bright 1.0.0" in line and "Ball, Lamp" in line
    assert main(["cases", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["volume_sha256"] == case.volume_sha256
    assert main(["cases", "remove", case.id[:7]]) == 0 and not collected_cases()[0]
    assert main(["cases", "remove", case.id]) == 1 and "there is no collected case" in capsys.readouterr().err
    broken = collected_folder() / "ab"
    broken.mkdir()
    assert main(["cases", "list"]) == 1 and "is damaged" in capsys.readouterr().err
    assert main(["cases", "remove", "ab"]) == 0 and not broken.exists()
