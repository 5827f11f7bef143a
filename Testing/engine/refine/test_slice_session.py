"""Sessions: undo restores what was saved, many planes work on one segment, and a journal gives the identical mask again."""

import json

import numpy as np
import pytest
import torch

from mednextseg.geometry import Geometry
from mednextseg.networks.click_net import build_click_net
from mednextseg.refine import Prompts
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Embedding, PromptCancelledError
from mednextseg.refine.prompters.click_net import ClickNetPrompter
from mednextseg.refine.prompters.embedding_cache import EmbeddingCache
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import plane_through, voxel_plane
from mednextseg.refine.slices.slice_session import SliceSession, changed_near

_CENTER = (12, 24, 26)  # of the ellipsoid in conftest.py
_HEAD = '{"format": "mednextseg-prompt-journal", "version": 1, "prompter": "x", "model_hash": "y", '


@pytest.fixture
def refinement(prompter, volume, geometry):
    return Refinement(volume, geometry, prompter)


@pytest.fixture(scope="module")
def plane(geometry):
    return voxel_plane(geometry, 0, 12)


@pytest.fixture
def slice_session(prompter, volume):
    return SliceSession(prompter, prompter.encode(volume[12], (1.2, 1.0)))


def _dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_undo_takes_back_fifty_clicks_and_redo_repeats_them_bit_for_bit(refinement, plane):
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(50):
        refinement.add_point(plane.ras_from_rc(rng.uniform((5, 5), (43, 47))), bool(rng.integers(2)), plane)
        seen.append(refinement.probability.copy())
    for expected in reversed(seen):
        assert np.array_equal(refinement.probability, expected)
        assert refinement.undo()
    assert refinement.probability is None and not refinement.undo()
    for expected in seen:
        assert refinement.redo()
        assert np.array_equal(refinement.probability, expected)
    assert not refinement.redo()


def test_undo_restores_the_saved_mask_where_asking_again_would_give_another(volume, geometry, plane):
    torch.manual_seed(0)
    prompter = ClickNetPrompter(build_click_net((8, 8, 8, 8), 1), 64, 2.0, "0" * 64)
    refinement = Refinement(volume, geometry, prompter)
    for point, positive in (((24, 26), True), ((24, 36), False)):
        refinement.add_point(plane.ras_from_rc(point), positive, plane)
    after_two = refinement.probability.copy()
    refinement.add_point(plane.ras_from_rc((20, 20)), True, plane)
    assert refinement.undo()
    assert np.array_equal(refinement.probability, after_two)
    again = prompter.predict(prompter.encode(volume[12], plane.spacing_rc_mm), refinement.active_prompts).probability
    assert not np.array_equal(again, after_two)


def test_a_new_click_after_undo_forgets_what_could_be_redone(refinement, plane):
    refinement.add_point(plane.ras_from_rc((24, 26)), True, plane)
    refinement.add_point(plane.ras_from_rc((10, 10)), False, plane)
    refinement.undo()
    assert refinement.can_redo
    refinement.add_point(plane.ras_from_rc((12, 12)), False, plane)
    assert not refinement.can_redo


def test_the_automatic_mask_is_the_first_mask_prompt(prompter, volume, truth):
    start = truth[12].astype(np.float32)
    start[:, 30:] = 0
    session = SliceSession(prompter, prompter.encode(volume[12]), start)
    assert np.array_equal(session.mask, start > 0.5)
    session.add_point((24, 34), True)
    assert _dice(session.mask, truth[12]) > max(_dice(start > 0.5, truth[12]), 0.85)


def test_a_cancelled_prompt_leaves_the_session_as_it_was(slice_session, monkeypatch):
    slice_session.add_point((24, 26), True)
    before, state = slice_session.probability.copy(), slice_session.state

    def refuse(*arguments):
        raise PromptCancelledError("a newer prompt has arrived.")

    monkeypatch.setattr(type(slice_session.prompter), "predict", refuse)
    with pytest.raises(PromptCancelledError):
        slice_session.add_point((3, 3), False)
    assert slice_session.state is state and np.array_equal(slice_session.probability, before)


def test_removing_the_only_click_shows_the_start_again(slice_session):
    slice_session.add_point((24, 26), True)
    slice_session.remove_point(0)
    assert not slice_session.mask.any() and slice_session.prompts.is_empty


def test_three_clicks_in_three_planes_one_oblique_repair_the_segment(prompter, volume, geometry, truth):
    broken = truth.copy()
    broken[:, :, 30:] = False
    refinement = Refinement(volume, geometry, prompter, broken)
    planes = [voxel_plane(geometry, axis, _CENTER[axis]) for axis in (0, 1)]
    center = geometry.ras_from_ijk(np.array(_CENTER[::-1]))
    planes.append(plane_through(geometry, center, (0.2, -1, 0.3), (1, 0.3, 0.2)))
    missing = geometry.ras_from_ijk(np.array([34.0, 24.0, 12.0]))
    for plane in planes:
        foot = missing - plane.distance_mm(missing) * plane.normal_ras
        refinement.add_point(foot, True, plane)
        assert refinement.preview()
    refinement.accept()
    gained = refinement.segment_kji & ~broken
    assert gained[12].any() and gained[:, 24].any()
    assert _dice(refinement.segment_kji, truth) > _dice(broken, truth)
    for _ in range(4):
        assert refinement.undo()
    assert np.array_equal(refinement.segment_kji, broken) and refinement.active_plane is None
    while refinement.redo():
        pass
    assert np.array_equal(refinement.segment_kji & ~broken, gained)


def test_a_prompt_on_another_plane_accepts_the_one_before(prompter, volume, geometry):
    refinement = Refinement(volume, geometry, prompter)
    first, second = voxel_plane(geometry, 0, 12), voxel_plane(geometry, 0, 14)
    refinement.add_point(first.ras_from_rc([24, 26]), True, first)
    assert not refinement.segment_kji.any()
    refinement.add_point(second.ras_from_rc([24, 26]), True, second)
    assert refinement.segment_kji[12].any() and not refinement.segment_kji[14].any()
    assert refinement.preview_segment()[14].any()
    refinement.undo()
    assert not refinement.segment_kji.any() and refinement.active_plane is not None


def test_the_journal_replays_to_the_identical_segment(prompter, volume, geometry, truth, tmp_path):
    broken = truth.copy()
    broken[10:15, :, 30:] = False
    refinement = Refinement(volume, geometry, prompter, broken, display_range=(80.0, 200.0), segment_name="ball")
    axial, coronal = voxel_plane(geometry, 0, 12), voxel_plane(geometry, 1, 24)
    refinement.add_point(axial.ras_from_rc([24, 35]), True, axial)
    refinement.add_point(axial.ras_from_rc([5, 5]), False, axial)
    refinement.undo()
    refinement.propagate(3, 3)
    refinement.accept()
    refinement.add_box(coronal.ras_from_rc([[20, 45], [3, 10]]), coronal)
    refinement.add_point(coronal.ras_from_rc([12, 26]), True, coronal)
    refinement.remove_point(0)
    refinement.accept()
    refinement.undo()
    refinement.redo()
    refinement.journal.save(tmp_path / "journal.json")
    again = replay(PromptJournal.load(tmp_path / "journal.json"), volume, geometry, prompter, broken)
    assert np.array_equal(again.segment_kji, refinement.segment_kji)
    assert not np.array_equal(again.segment_kji, broken)
    assert again.journal.entries == refinement.journal.entries and again.journal.segment == "ball"


def test_the_journal_holds_ras_and_the_hash_of_the_model(prompter, volume, geometry):
    refinement = Refinement(volume, geometry, prompter)
    plane = voxel_plane(geometry, 0, 12)
    refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    raw = json.loads(refinement.journal.to_json())
    assert raw["model_hash"] == prompter.info.model_hash and raw["prompter"] == "random_walker"
    entry = raw["entries"][0]
    assert np.allclose(geometry.ijk_from_ras(np.array(entry["point_ras_mm"])), (26, 24, 12)) and entry["positive"] is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "not JSON"),
        ("{}", "format"),
        ('{"format": "mednextseg-prompt-journal", "version": 99}', "update"),
        ('{"format": "mednextseg-prompt-journal", "version": 1, "prompter": "x"}', "lacks model_hash"),
        (
            _HEAD + '"entries": [{"action": "__init__"}]}',
            "allowed are",
        ),
        (
            _HEAD + '"entries": [{"action": "point", "positive": true}]}',
            "point_ras_mm",
        ),
    ],
)
def test_a_file_that_is_no_journal_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        PromptJournal.from_json(text)


def test_a_journal_of_another_model_is_not_replayed(prompter, volume, geometry):
    with pytest.raises(ValueError, match="install the model"):
        replay(PromptJournal("clicknet", "0" * 64), volume, geometry, prompter)


def test_the_cache_keeps_within_its_bytes_and_forgets_the_oldest():
    made = []

    def make(name):
        def build():
            made.append(name)
            return Embedding(np.zeros((10, 10), np.float32))

        return build

    cache = EmbeddingCache(limit_bytes=1000)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get_or_make(name, make(name))
    assert made == ["a", "b", "c", "b"]
    assert cache.size <= 1000 and "c" not in cache and len(cache) == 2
    cache.clear()
    assert cache.size == 0 and len(cache) == 0


def test_a_segment_on_another_grid_is_corrected_there(prompter, volume, geometry, truth):
    matrix = np.diag([0.8, 0.8, 0.8, 1.0])
    matrix[:3, 3] = geometry.corners_ras().min(axis=0)
    other = Geometry((60, 75, 66), matrix)
    refinement = Refinement(volume, geometry, prompter, segment_geometry=other)
    plane = voxel_plane(geometry, 0, 12)
    refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    refinement.accept()
    layers = refinement.segment_kji.any(axis=(1, 2)).sum()
    assert layers in (2, 3)  # 2 mm of slice in layers of 0.8 mm
    assert refinement.segment_kji.sum() * 0.8**2 / layers == pytest.approx(truth[12].sum() * 1.2, rel=0.1)


def test_prompts_are_required_before_a_preview_can_be_accepted(prompter, volume, geometry):
    refinement = Refinement(volume, geometry, prompter)
    with pytest.raises(ValueError, match="click or draw"):
        refinement.accept()
    assert not refinement.undo() and not refinement.redo()
    assert Prompts().is_empty


def test_on_a_slice_of_an_object_that_shows_nothing_yet_a_click_means_something_as_large(prompter, volume):
    embedding = prompter.encode(volume[12], (1.2, 1.0))
    plain, within = SliceSession(prompter, embedding), SliceSession(prompter, embedding, object_side_px=4.0)
    for session in (plain, within):
        session.add_point((24, 26), True)
    assert within.mask[24, 26] and 0 < within.mask.sum() < plain.mask.sum()
    within.add_point((24, 30), True)  # from now on as elsewhere
    again = SliceSession(prompter, embedding, object_side_px=4.0)
    again.add_point((24, 26), True)
    other = SliceSession(prompter, embedding)
    other.state = again.state
    other.add_point((24, 30), True)
    assert np.array_equal(other.probability, within.probability)


def test_a_change_fades_with_the_distance_from_a_point():
    before, after = np.full((9, 40), 0.9, np.float32), np.full((9, 40), 0.1, np.float32)
    changed = changed_near(before, after, np.array([4.0, 5.0]), 6.0)
    assert np.isclose(changed[4, 5], 0.1, atol=1e-3) and np.isclose(changed[4, 39], 0.9, atol=1e-3)
    assert (np.diff(changed[4, 5:]) >= 0).all()
