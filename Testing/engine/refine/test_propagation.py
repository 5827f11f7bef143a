"""Propagation: from slice to slice with reasons to stop, between two slices from both ends."""

import numpy as np
import pytest

from mednextseg.geometry import Geometry
from mednextseg.refine.prompter import Embedding, PrompterInfo, Result
from mednextseg.refine.propagation import propagate, propagate_between, widened_box
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.slices.slice_sampling import sample_slice

_CENTER = (12, 24, 26)  # of the ellipsoid in conftest.py


def _dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_propagation_fills_the_object_and_stops_at_its_ends(prompter, volume, geometry, truth):
    refinement = Refinement(volume, geometry, prompter)
    plane = voxel_plane(geometry, 0, 12)
    refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    reasons = refinement.propagate(11, 11)
    assert all(reason != "the limit of slices is reached" for reason in reasons)
    assert not refinement.segment_kji.any()  # a preview until it is accepted
    refinement.accept()
    assert _dice(refinement.segment_kji, truth) > 0.85
    assert not refinement.segment_kji[:4].any() and not refinement.segment_kji[21:].any()


def test_propagation_keeps_to_the_users_limits_and_to_slices_made_by_hand(prompter, volume, geometry):
    refinement = Refinement(volume, geometry, prompter)
    edited, start = voxel_plane(geometry, 0, 14), voxel_plane(geometry, 0, 12)
    refinement.add_box(edited.ras_from_rc([[20, 22], [28, 30]]), edited)
    refinement.accept()
    by_hand = refinement.segment_kji[14].copy()
    refinement.add_point(start.ras_from_rc([24, 26]), True, start)
    refinement.propagate(2, 2)
    refinement.accept()
    filled = np.flatnonzero(refinement.segment_kji.any(axis=(1, 2)))
    assert np.array_equal(refinement.segment_kji[14], by_hand)
    assert filled.min() == 10 and filled.max() == 14


def test_the_gap_between_two_corrected_slices_is_filled_from_both_ends(prompter, volume, geometry, truth):
    refinement = Refinement(volume, geometry, prompter)
    for index in (9, 15):
        plane = voxel_plane(geometry, 0, index)
        refinement.add_point(plane.ras_from_rc([24, 26]), True, plane)
    assert refinement.propagate_between() == 5
    refinement.accept()
    assert _dice(refinement.segment_kji[9:16], truth[9:16]) > 0.9
    assert not refinement.segment_kji[:9].any() and not refinement.segment_kji[16:].any()


def test_slices_of_other_planes_cannot_be_joined(prompter, volume, geometry):
    planes = [voxel_plane(geometry, axis, _CENTER[axis]) for axis in (0, 1)]
    masks = [np.ones(plane.shape_rc, np.float32) for plane in planes]
    with pytest.raises(ValueError, match="parallel"):
        propagate_between(prompter, lambda plane: None, (planes[0], masks[0]), (planes[1], masks[1]))


def test_an_empty_slice_cannot_be_propagated(prompter, geometry):
    plane = voxel_plane(geometry, 0, 12)
    with pytest.raises(ValueError, match="empty"):
        propagate(prompter, lambda plane: None, plane, np.zeros(plane.shape_rc), 3)


class BrightPrompter:
    """Answers with what is bright near the box, so that a volume decides what propagation meets."""

    info = PrompterInfo("bright", "bright-1", False)

    def __init__(self, score: float = float("nan")) -> None:
        self.score = score

    def encode(self, image_rc, spacing_rc_mm=(1.0, 1.0), display_range=None):
        return Embedding(np.asarray(image_rc, np.float32), spacing_rc_mm)

    def predict(self, embedding, prompts, state=None, cancel=None):
        return Result((embedding.image_rc > 0.2).astype(np.float32), self.score)


def _stack(radii, brightness=None, shift=0):
    rows, cols = np.indices((40, 40))
    centers = 20 + shift * np.arange(len(radii))
    levels = brightness or [1.0] * len(radii)
    slices = [v * (np.hypot(rows - 20, cols - c) <= r) for r, c, v in zip(radii, centers, levels, strict=True)]
    return np.stack(slices).astype(np.float32)


@pytest.mark.parametrize(
    ("volume_kji", "score", "count", "reason"),
    [
        (_stack([9, 9, 9, 0, 0]), float("nan"), 2, "the object ends"),
        (_stack([9, 9, 9, 15, 15]), float("nan"), 2, "the area changes too much"),
        (_stack([9, 9, 9, 5, 5]), float("nan"), 2, "the area changes too much"),
        (_stack([5] * 5, shift=6), float("nan"), 0, "the mask moves too far"),
        (_stack([9] * 5, [1.0, 1.0, 0.7, 0.7, 0.7]), float("nan"), 1, "the intensity differs too much"),
        (_stack([9] * 5), 0.1, 0, "the network is not sure"),
        (_stack([9] * 5), 0.9, 4, "the limit of slices is reached"),
    ],
)
def test_each_stopping_rule_ends_propagation_where_it_should(volume_kji, score, count, reason):
    grid = Geometry(volume_kji.shape, np.eye(4))
    start = voxel_plane(grid, 0, 0)
    prompter = BrightPrompter(score)
    direction = 1 if start.normal_ras[2] > 0 else -1

    def encode(plane):
        return prompter.encode(sample_slice(volume_kji, grid, plane))

    result = propagate(prompter, encode, start, volume_kji[0] > 0, 4, direction)
    assert len(result.slices) == count and result.ended.startswith(reason)


def test_the_box_that_is_sent_along_is_wider_than_the_mask():
    mask = np.zeros((40, 50), bool)
    mask[10:30, 1:21] = True
    r0, c0, r1, c1 = widened_box(mask)
    assert (r0, c0) == (pytest.approx(8.6), 0) and (r1, c1) == (pytest.approx(31.4), pytest.approx(22.4))
