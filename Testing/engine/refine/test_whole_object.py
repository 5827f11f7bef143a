"""A whole object from one slice: to its ends, corrected anywhere, and gone on with from there."""

import numpy as np
import pytest

from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import voxel_plane


@pytest.fixture
def refinement(prompter, volume, geometry):
    return Refinement(volume, geometry, prompter)


def click(refinement, index, rc=(24, 26), positive=True, shift_mm=0.0):
    plane = voxel_plane(refinement.volume_geometry, 0, index).shifted(shift_mm)
    refinement.add_point(plane.ras_from_rc(rc), positive, plane)


def lasso_off(refinement, index):
    """Take everything away on a slice."""
    plane = voxel_plane(refinement.volume_geometry, 0, index)
    refinement.add_lasso(plane.ras_from_rc([[-1, -1], [-1, 60], [60, 60], [60, -1]]), False, plane)


def layers(refinement):
    return np.flatnonzero(refinement.preview_segment().any(axis=(1, 2))).tolist()


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_one_click_makes_the_whole_object_as_a_preview_with_its_confidence(refinement, truth):
    click(refinement, 12)
    ended = refinement.whole_object()
    assert all(ended) and not refinement.segment_kji.any()
    assert dice(refinement.preview_segment(), truth) > 0.85
    slices = refinement.preview_slices()
    assert len(slices) == len(layers(refinement)) - 1 and all(0.5 < item.confidence <= 1 for item in slices)
    places = [float(slices[0].plane.distance_mm(item.plane.origin_ras)) for item in slices]
    assert places == sorted(places)
    refinement.accept()
    assert dice(refinement.segment_kji, truth) > 0.85


def test_a_correction_stays_in_the_preview_and_is_carried_on_from_in_both_directions(refinement):
    click(refinement, 12)
    refinement.whole_object()
    before, slices = refinement.preview_segment(), refinement.preview_slices()
    lasso_off(refinement, 16)
    assert not refinement.segment_kji.any() and 16 not in layers(refinement)
    assert {12, 15, 17} <= set(layers(refinement))  # the rest waits
    ended = refinement.whole_object()
    assert "the slice is empty" in ended and "" in ended
    assert max(layers(refinement)) < 16 and set(layers(refinement)) >= {8, 12, 13}
    beyond = np.s_[:12]  # on the other side of the first slice nothing was done again
    assert np.array_equal(refinement.preview_segment()[beyond], before[beyond])
    kept = [item for item in refinement.preview_slices() if any(item is other for other in slices)]
    assert len(kept) == len([k for k in layers(refinement) if k < 12])
    refinement.accept()
    assert 16 not in np.flatnonzero(refinement.segment_kji.any(axis=(1, 2)))


def test_a_click_beyond_an_end_or_between_two_slices_belongs_to_the_object(refinement):
    click(refinement, 12)
    refinement.whole_object()
    lasso_off(refinement, 15)
    refinement.whole_object()
    assert max(layers(refinement)) < 15
    click(refinement, 17, shift_mm=0.7)  # voxels are 2 mm apart
    assert np.isclose(refinement.active_plane.origin_ras, voxel_plane(refinement.volume_geometry, 0, 17).origin_ras).all()
    refinement.whole_object()
    assert 15 not in layers(refinement) and {16, 17, 18} <= set(layers(refinement))


def test_prompts_of_a_corrected_slice_add_up_when_the_user_comes_back(refinement):
    click(refinement, 12)
    refinement.whole_object()
    click(refinement, 14, (24, 36), False)
    click(refinement, 12, (18, 26))
    assert refinement.active_prompts.labels.tolist() == [1, 1]
    click(refinement, 14, (24, 37), False)
    assert refinement.active_prompts.labels.tolist() == [0, 0]


def test_a_box_on_a_slice_of_the_object_starts_anew_there_until_it_is_removed(refinement, prompter, volume, geometry):
    click(refinement, 12)
    refinement.whole_object()
    before = refinement.preview_segment()
    plane = voxel_plane(refinement.volume_geometry, 0, 14)
    corners = plane.ras_from_rc([[2.0, 2.0], [10.0, 10.0]])  # beside the object
    refinement.add_box(corners, plane)
    alone = Refinement(volume, geometry, prompter)
    alone.add_box(corners, plane)
    assert np.array_equal(refinement.probability, alone.probability)
    refinement.remove_box()
    assert np.array_equal(refinement.preview_segment(), before)


def test_a_prompt_in_another_view_accepts_the_object(refinement):
    click(refinement, 12)
    refinement.whole_object()
    lasso_off(refinement, 16)
    refinement.whole_object()
    expected = refinement.preview_segment()
    plane = voxel_plane(refinement.volume_geometry, 1, 24)
    refinement.add_point(plane.ras_from_rc([12, 26]), True, plane)
    assert np.array_equal(refinement.segment_kji, expected)


def test_everything_is_undone_redone_and_replayed(refinement, prompter, volume, geometry):
    seen = [refinement.preview_segment()]

    def note():
        seen.append(refinement.preview_segment())

    click(refinement, 12)
    note()
    refinement.whole_object()
    note()
    lasso_off(refinement, 16)
    note()
    refinement.whole_object()
    note()
    refinement.accept()
    note()
    for expected in reversed(seen[:-1]):
        assert refinement.undo() and np.array_equal(refinement.preview_segment(), expected)
    for expected in seen[1:]:
        assert refinement.redo() and np.array_equal(refinement.preview_segment(), expected)
    journal = PromptJournal.from_json(refinement.journal.to_json())
    again = replay(journal, volume, geometry, prompter)
    assert np.array_equal(again.segment_kji, refinement.segment_kji) and refinement.segment_kji.any()


def test_there_must_be_something_to_carry_on(refinement):
    with pytest.raises(ValueError, match="no preview"):
        refinement.whole_object()
    lasso_off(refinement, 12)
    with pytest.raises(ValueError, match="mask is empty"):
        refinement.whole_object()
    assert len(refinement.journal.entries) == 1


def test_slices_worked_on_show_their_voxels_and_the_last_one_wins(refinement):
    click(refinement, 12)
    refinement.whole_object()
    click(refinement, 13, (24, 30))
    changed = np.unravel_index(refinement.changes_on_slice(), refinement.segment_kji.shape)
    assert set(changed[0].tolist()) == {12, 13}
