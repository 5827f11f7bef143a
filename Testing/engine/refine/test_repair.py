"""Prompts made from a segment: for one slice, and for all of them as a preview."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mednextseg.refine.auto_prompts import prompts_from, shape_between
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import PromptCancelledError
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import plane_through, voxel_plane

ALL = ("point", "box", "mask")


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def worn(truth_kji):
    """Too thin on every slice, and two slices are missing."""
    segment_kji = ndimage.binary_erosion(truth_kji, np.ones((1, 3, 3)))
    segment_kji[[10, 13]] = False
    return segment_kji


@pytest.fixture
def refinement(prompter, volume, geometry, truth):
    return Refinement(volume, geometry, prompter, worn(truth))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 36), st.integers(0, 36), st.integers(2, 8), st.integers(2, 8)), min_size=1, max_size=6)
)
def test_clicks_lie_on_the_mask_and_the_box_around_its_larger_pieces(boxes):
    mask = np.zeros((44, 44), np.float32)
    for row, col, height, width in boxes:
        mask[row : row + height, col : col + width] = 1
    prompts = prompts_from(mask, ALL)
    rows, cols = prompts.points_rc.astype(int).T
    assert (prompts.labels == 1).all() and (mask[rows, cols] == 1).all() and np.array_equal(prompts.mask, mask)
    assert len({tuple(point) for point in prompts.points_rc}) == len(prompts.points_rc) <= 5
    r0, c0, r1, c1 = prompts.box
    assert ((prompts.points_rc >= (r0, c0)) & (prompts.points_rc < (r1, c1))).all()


def test_specks_are_no_pieces_and_what_is_not_understood_is_left_out():
    mask = np.zeros((40, 40), np.float32)
    mask[10:20, 12:30] = 1
    mask[35, 2] = 1
    prompts = prompts_from(mask, ALL)
    assert len(prompts.points_rc) == 1 and prompts.box[2] < 22 and prompts.box[1] > 9
    boxed = prompts_from(mask, ("box", "lasso"))  # MedSAM
    assert not len(boxed.points_rc) and boxed.mask is None and np.array_equal(boxed.box, prompts.box)


def test_between_two_shapes_lies_a_shape_between():
    small, large = (np.zeros((30, 30), np.float32) for _ in range(2))
    small[12:18, 12:18], large[6:24, 6:24] = 1, 1
    areas = [shape_between(small, large, share).sum() for share in (0, 0.25, 0.5, 0.75, 1)]
    assert areas[0] == small.sum() and areas[-1] == large.sum() and areas == sorted(areas)


def test_a_slice_is_asked_for_by_prompts_from_the_segment(refinement, truth, geometry):
    plane, before = voxel_plane(geometry, 0, 12), refinement.segment_kji.copy()
    refinement.prompt_from_segment(plane)
    prompts, after = refinement.active_prompts, refinement.preview_segment()
    assert prompts.box is not None and prompts.labels.tolist() == [1]
    assert dice(after[12], truth[12]) > dice(before[12], truth[12]) and np.array_equal(after[13:], before[13:])
    with pytest.raises(ValueError, match="segment is empty on this slice"):
        refinement.prompt_from_segment(voxel_plane(geometry, 0, 1))
    assert refinement.undo() and np.array_equal(refinement.preview_segment(), before) and not refinement.can_undo


def test_all_slices_are_repaired_as_one_preview_and_gaps_are_filled(refinement, truth, geometry):
    before, asked = refinement.segment_kji.copy(), []
    changed, count = refinement.repair_slices(voxel_plane(geometry, 0, 12), progress=lambda *step: asked.append(step))
    assert asked == [(number, count) for number in range(count)] and count >= before.any(axis=(1, 2)).sum() + 2
    assert np.array_equal(refinement.segment_kji, before)  # until it is accepted
    after = refinement.preview_segment()
    assert dice(after, truth) > dice(before, truth) + 0.05 and after[[10, 13]].any(axis=(1, 2)).all()
    assert len(refinement.preview_slices()) == changed - 1 and all(0 < s.confidence <= 1 for s in refinement.preview_slices())
    refinement.accept()
    assert np.array_equal(refinement.segment_kji, after)
    assert refinement.undo() and refinement.undo() and not refinement.can_undo
    assert np.array_equal(refinement.segment_kji, before) and refinement.active_plane is None


def test_a_slice_of_the_preview_is_corrected_and_one_made_by_hand_is_left_alone(refinement, geometry):
    plane = voxel_plane(geometry, 0, 9)
    refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    by_hand = refinement.preview_segment()[9]
    refinement.repair_slices(voxel_plane(geometry, 0, 14))  # accepts the slice above
    assert np.array_equal(refinement.segment_kji[9], by_hand)
    there = voxel_plane(geometry, 0, 15)
    before = refinement.preview_segment()
    refinement.add_point(there.ras_from_rc([2, 2]), True, there)
    after = refinement.preview_segment()
    assert after[15, 2, 2] and np.array_equal(np.delete(after, 15, 0), np.delete(before, 15, 0))


def test_an_answer_that_has_little_to_do_with_the_segment_changes_nothing(prompter, volume, geometry):
    beside = np.zeros(volume.shape, bool)
    beside[4:20, 2:5, 3:5] = True  # a corner of nothing: the answer is as large as the network likes
    refinement = Refinement(volume, geometry, prompter, beside)
    try:
        changed, count = refinement.repair_slices(voxel_plane(geometry, 0, 12))
    except ValueError as error:
        assert "agrees too little" in str(error)
        changed, count = 0, 16
    after = refinement.preview_segment()
    for index in range(4, 20):
        kept = np.array_equal(after[index], beside[index])
        assert kept or dice(after[index], beside[index]) >= 0.5
    assert changed <= count


def test_an_empty_segment_and_a_repair_that_is_stopped_leave_everything_as_it_was(refinement, prompter, volume, geometry):
    with pytest.raises(ValueError, match="no slice to repair"):
        Refinement(volume, geometry, prompter).repair_slices(voxel_plane(geometry, 0, 12))
    with pytest.raises(PromptCancelledError):
        refinement.repair_slices(voxel_plane(geometry, 0, 12), cancel=lambda: True)
    assert not refinement.can_undo and not refinement.journal.entries


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.3, 0.5, 0.8)], ids=["axial", "oblique"])
def test_a_repair_is_replayed_to_the_identical_voxels(refinement, prompter, volume, geometry, truth, normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    down = np.cross(normal, (1, 0, 0))
    plane = plane_through(geometry, geometry.ras_from_ijk(np.array([26.0, 24, 12])), down, np.cross(down, normal))
    refinement.prompt_from_segment(plane)
    refinement.repair_slices(plane)
    refinement.accept()
    assert dice(refinement.segment_kji, truth) > dice(worn(truth), truth)
    journal = PromptJournal.from_json(refinement.journal.to_json())
    again = replay(journal, volume, geometry, prompter, worn(truth))
    assert np.array_equal(again.segment_kji, refinement.segment_kji)
