"""What a refinement refuses or survives: prompts beside the volume, infinite voxels, journals of other volumes and damaged ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.refine import load_prompter
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.volume_stamp import VolumeStamp

SHAPE_KJI = (12, 20, 22)
WALKER = load_prompter("random_walker")


def ball() -> tuple[np.ndarray, Geometry]:
    matrix = np.diag([1.0, 1.2, 2.0, 1.0])
    matrix[:3, 3] = (-10, 5, 30)
    k, j, i = np.indices(SHAPE_KJI)
    inside = (k - 6) ** 2 * 4 + (j - 10) ** 2 + (i - 11) ** 2 < 36
    return (100 + 80 * inside).astype(np.float32), Geometry(SHAPE_KJI, matrix)


def refinement_of(volume_kji: np.ndarray, geometry: Geometry) -> Refinement:
    return Refinement(volume_kji, geometry, WALKER, display_range=(50.0, 250.0))


def recorded() -> PromptJournal:
    volume_kji, geometry = ball()
    refinement = refinement_of(volume_kji, geometry)
    refinement.add_point(geometry.ras_from_ijk(np.array([11.0, 10, 6])), True, voxel_plane(geometry, 0, 6))
    refinement.propagate(2, 1)
    refinement.accept()
    return refinement.journal


@pytest.mark.parametrize("voxel", [(-0.6, 10, 6), (22, 10, 6), (11, 19.6, 6), (11, 10, -1)])
def test_a_point_beside_the_volume_is_refused_and_one_on_its_edge_is_not(voxel) -> None:
    volume_kji, geometry = ball()
    refinement = refinement_of(volume_kji, geometry)
    with pytest.raises(ValueError, match="beside the volume"):
        refinement.add_point(geometry.ras_from_ijk(np.array(voxel, float)), True, voxel_plane(geometry, 0, 6))
    assert not refinement.can_undo
    inside = np.clip(voxel, -0.49, np.array(SHAPE_KJI[::-1]) - 0.51)
    refinement.add_point(geometry.ras_from_ijk(inside), True, voxel_plane(geometry, 0, int(np.clip(round(inside[2]), 0, 11))))


def test_corners_of_a_box_on_two_slices_or_beside_the_volume_are_refused() -> None:
    volume_kji, geometry = ball()
    refinement, plane = refinement_of(volume_kji, geometry), voxel_plane(geometry, 0, 6)
    for first, second, text in (((5, 5, 6), (15, 15, 9), "not on one slice"), ((5, 5, 6), (25, 15, 6), "beside the volume")):
        with pytest.raises(ValueError, match=text):
            refinement.add_box(geometry.ras_from_ijk(np.array([first, second], float)), plane)
    assert not refinement.can_undo


def test_propagation_ends_where_the_volume_does() -> None:
    volume_kji, geometry = ball()
    volume_kji[:] = volume_kji[6]  # a tube from end to end, darker than all around it
    refinement = refinement_of(280 - volume_kji, geometry)
    refinement.add_point(geometry.ras_from_ijk(np.array([11.0, 10, 9])), True, voxel_plane(geometry, 0, 9))
    assert "the volume ends" in refinement.propagate(20, 20)
    assert refinement.preview_segment().any(axis=(1, 2)).all()


@pytest.mark.parametrize("values", [(np.inf,), (-np.inf,), (np.nan,), (np.inf, -np.inf, np.nan)])
def test_infinite_voxels_far_away_do_not_change_an_answer(values) -> None:
    volume_kji, geometry = ball()
    plain = Refinement(volume_kji, geometry, WALKER)
    damaged_kji = volume_kji.copy()
    damaged_kji[6, 0, : len(values)] = values
    damaged = Refinement(damaged_kji, geometry, WALKER, display_range=(np.nan, np.inf))
    for refinement in (plain, damaged):
        refinement.add_point(geometry.ras_from_ijk(np.array([11.0, 10, 6])), True, voxel_plane(geometry, 0, 6))
    expected, found = plain.preview_segment(), damaged.preview_segment()
    assert found.any() and (found != expected).sum() < 0.05 * expected.sum()


axes = st.permutations(range(3))
flips = st.tuples(st.booleans(), st.booleans(), st.booleans())


@settings(max_examples=20, deadline=None)
@given(order=axes, flip=flips, dtype=st.sampled_from([np.int16, np.float32, np.float64]))
def test_a_volume_has_one_stamp_in_whatever_order_it_is_stored(order, flip, dtype) -> None:
    volume_kji, geometry = ball()
    array_ijk, matrix = np.transpose(np.transpose(volume_kji), order), geometry.ijk_to_ras.copy()
    matrix[:3, :3] = matrix[:3, list(order)]
    for axis in range(3):
        if flip[axis]:
            matrix[:3, 3] += matrix[:3, axis] * (array_ijk.shape[axis] - 1)
            matrix[:3, axis] *= -1
            array_ijk = np.flip(array_ijk, axis)
    other_kji = np.transpose(array_ijk).astype(dtype)
    VolumeStamp.of(volume_kji, geometry).check(other_kji, Geometry(other_kji.shape, matrix))


def test_a_journal_of_another_or_moved_volume_is_refused_whole_and_an_old_one_is_read() -> None:
    volume_kji, geometry = ball()
    journal = PromptJournal.from_json(recorded().to_json())
    expected = replay(journal, volume_kji, geometry, WALKER).preview_segment()
    moved = Geometry(
        SHAPE_KJI, np.block([[np.eye(3), np.array([[0], [0], [200.0]])], [np.zeros((1, 3)), 1]]) @ geometry.ijk_to_ras
    )
    cut = Geometry((11, 20, 22), geometry.ijk_to_ras)
    cases = (
        (volume_kji, moved, "200.00 mm"),
        (volume_kji[:11], cut, "22 x 20 x 12"),
        (volume_kji + 1, geometry, "other intens"),
    )
    for array, grid, text in cases:
        with pytest.raises(ValueError, match=text):
            replay(journal, array, grid, WALKER)
    old = json.loads(journal.to_json())
    del old["volume"]
    old["version"] = 2
    read = PromptJournal.from_json(json.dumps(old))
    assert read.volume is None
    assert np.array_equal(replay(read, volume_kji, geometry, WALKER).preview_segment(), expected)


DAMAGE = {
    "entries is an object": lambda j: j.update(entries={"a": 1}),
    "entries is null": lambda j: j.update(entries=None),
    "version is text": lambda j: j.update(version="two"),
    "hash is null": lambda j: j.update(model_hash=None),
    "window of one": lambda j: j.update(window=[5]),
    "window text": lambda j: j.update(window=["a", "b"]),
    "volume is text": lambda j: j.update(volume="here"),
    "no shape": lambda j: j["entries"][0]["plane"].pop("shape_rc"),
    "plane null": lambda j: j["entries"][0].update(plane=None),
    "huge plane": lambda j: j["entries"][0]["plane"].update(shape_rc=[100000, 100000]),
    "plane of three axes": lambda j: j["entries"][0]["plane"].update(shape_rc=[20, 22, 5]),
    "plane of one spacing": lambda j: j["entries"][0]["plane"].update(spacing_rc_mm=[1.0]),
    "half a pixel": lambda j: j["entries"][0]["plane"].update(shape_rc=[20.5, 22]),
    "thickness 0": lambda j: j["entries"][0]["plane"].update(thickness_mm=0),
    "two numbers": lambda j: j["entries"][0].update(point_ras_mm=[1, 2]),
    "NaN": lambda j: j["entries"][0].update(point_ras_mm=[float("nan")] * 3),
    "text": lambda j: j["entries"][0].update(point_ras_mm=["a", "b", "c"]),
    "no positive": lambda j: j["entries"][0].pop("positive"),
    "many": lambda j: j["entries"][1].update(slices_ahead="many"),
    "1e9 slices": lambda j: j["entries"][1].update(slices_ahead=10**9),
    "unknown": lambda j: j["entries"].append({"action": ["point"]}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_journal_is_refused_when_it_is_read(damage) -> None:
    raw = json.loads(recorded().to_json())
    damage(raw)
    with pytest.raises(ValueError, match=r"journal.*[^.]\.$"):
        PromptJournal.from_json(json.dumps(raw))


def test_a_journal_that_takes_back_what_is_not_there_is_refused(tmp_path) -> None:
    journal = recorded()
    journal.entries.insert(0, {"action": "undo"})
    with pytest.raises(ValueError, match="nothing to undo"):
        replay(journal, *ball(), WALKER)
    (tmp_path / "journal.json").write_text(recorded().to_json(), encoding="utf-16")
    with pytest.raises(ValueError, match="UTF-8"):
        PromptJournal.load(tmp_path / "journal.json")
