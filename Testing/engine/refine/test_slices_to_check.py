"""Which slices of a preview are shown first: in the middle of what nobody has looked at."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.refine.propagation import PropagatedSlice
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.slices_to_check import by_stretches

_PLANE = voxel_plane(Geometry((40, 4, 4), np.eye(4)), 0, 0)


def _filled(places):
    return [PropagatedSlice(_PLANE, np.full((1, 1), place, np.float32), 0.5) for place in places]


def _order(places, worked_on):
    return [int(item.probability[0, 0]) for item in by_stretches(_filled(places), places, worked_on)]


def test_the_middle_of_the_longest_stretch_comes_first_then_that_of_what_is_left():
    places = [-4, -3, -2, -1, 1, 2, 3, 4, 5, 6]
    assert _order(places, [0])[:3] == [3, -3, 5]
    assert _order([place for place in places if place != 3], [0, 3])[0] == -3
    assert _order([], [0]) == []


@given(st.sets(st.integers(-20, 20), min_size=2, max_size=25), st.data())
def test_each_slice_comes_once_and_first_the_one_with_most_unseen_around_it(places, data):
    worked_on = data.draw(st.sets(st.sampled_from(sorted(places)), min_size=1, max_size=len(places) - 1))
    left = sorted(places - worked_on)
    order = _order(left, worked_on)
    assert sorted(order) == left
    stops = sorted(worked_on | {left[0] - 1, left[-1] + 1})
    stretches = [[place for place in left if first < place < last] for first, last in pairwise(stops)]
    assert any(order[0] in part for part in stretches if len(part) == max(map(len, stretches)))


def test_a_whole_object_is_checked_between_its_ends_and_its_first_slice(prompter, volume, geometry):
    refinement = Refinement(volume, geometry, prompter)
    assert refinement.slices_to_check() == []
    plane = voxel_plane(geometry, 0, 12)
    refinement.add_point(plane.ras_from_rc((24, 26)), True, plane)
    refinement.whole_object()
    places = [float(plane.distance_mm(item.plane.origin_ras)) for item in refinement.preview_slices()]
    order = [float(plane.distance_mm(item.plane.origin_ras)) for item in refinement.slices_to_check()]
    assert sorted(order) == places
    assert min(places) < order[0] < max(places) and order[0] * order[1] < 0  # first one side, then the other
