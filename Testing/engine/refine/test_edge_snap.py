"""The border moves to edges of the image nearby, no farther, and undo brings it back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.edge_snap import REACH_MM, snapped_to_edges
from mednextseg.refine.slices.slice_plane import voxel_plane

_SHAPE = (48, 56)
_ROWS, _COLS = np.ogrid[: _SHAPE[0], : _SHAPE[1]]


def disk(radius, center=(24, 28)):
    return (_ROWS - center[0]) ** 2 + (_COLS - center[1]) ** 2 < radius**2


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.8, 1.3)])
@pytest.mark.parametrize("shift", [(1.5, 0), (0, -1.5), (1, 1)])
def test_a_border_beside_an_edge_moves_onto_it(spacing, shift):
    image = (0.3 + 0.4 * disk(12) + 0.02 * np.random.default_rng(0).standard_normal(_SHAPE)).astype(np.float32)
    moved = disk(12, np.add((24, 28), shift)).astype(np.float32)
    result = snapped_to_edges(image, moved, spacing) > 0.5
    assert dice(result, disk(12)) > dice(moved > 0.5, disk(12)) + 0.02


@settings(max_examples=25)
@given(seed=st.integers(0, 50), radius=st.floats(2, 20))
def test_only_pixels_near_the_border_change_and_empty_stays_empty(seed, radius):
    image = np.random.default_rng(seed).random(_SHAPE, np.float32)
    probability = disk(radius).astype(np.float32)
    changed = (snapped_to_edges(image, probability, (1.0, 1.0)) > 0.5) != (probability > 0.5)
    distance = np.abs(np.hypot(_ROWS - 24, _COLS - 28) - radius)
    assert distance[changed].max(initial=0) <= REACH_MM + 1.5
    line = np.zeros(_SHAPE, np.float32)
    line[24:26, 5:50] = 1
    assert snapped_to_edges(image, line, (1.0, 1.0)) is line  # a thin thing does not go
    both = np.maximum(line, disk(9))
    assert np.array_equal(
        snapped_to_edges(image, both, (1.0, 1.0))[24:26, 42:50], line[24:26, 42:50]
    )  # nor one that hangs on another
    empty = np.zeros(_SHAPE, np.float32)
    assert snapped_to_edges(image, empty, (1.0, 1.0)) is empty


def test_it_is_one_action_that_obeys_prompts_and_can_be_undone_and_replayed(prompter, volume, geometry):
    refinement, plane = Refinement(volume, geometry, prompter), voxel_plane(geometry, 0, 12)
    with pytest.raises(ValueError, match="no preview"):
        refinement.snap_to_edges()
    refinement.add_box(plane.ras_from_rc([[14, 14], [34, 38]]), plane)  # an ellipse
    refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    refinement.add_point(plane.ras_from_rc([24, 38]), False, plane)
    refinement.whole_object()
    before = refinement.preview_segment()
    refinement.snap_to_edges()
    after = refinement.preview_segment()
    assert refinement.probability[24, 26] > 0.5 > refinement.probability[24, 38]
    refinement.undo()
    assert np.array_equal(refinement.preview_segment(), before)
    refinement.redo()
    journal = PromptJournal.from_json(refinement.journal.to_json())
    assert journal.entries[4] == {"action": "snap_to_edges"}
    assert np.array_equal(replay(journal, volume, geometry, prompter).preview_segment(), after)
    refinement.add_point(plane.ras_from_rc([20, 26]), True, plane)  # goes on from the moved border
