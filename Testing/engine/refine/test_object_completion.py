"""Objects completed by a network that sees a cube at a time: the same in any orientation, to their ends, true to what is known."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.refine.completion.completing_network import CompletingNetwork
from mednextseg.refine.completion.network_input import CHANNELS, network_channels
from mednextseg.refine.completion.object_completion import KnownSlices, ObjectCompletion
from mednextseg.refine.completion.slice_cube import SliceCube
from mednextseg.refine.prompter import PromptCancelledError
from mednextseg.refine.prompters.random_walker import RandomWalkerPrompter
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.volume_edges import cuts

SIZE = 16


class LooksAndShape(torch.nn.Module):
    """A network that was given its weights: what looks like the object, and lies near where it is expected, is the object."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv3d(len(CHANNELS), 2, 1)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.bias.zero_()
            self.layer.weight[1, CHANNELS.index("looks")] = 6.0
            self.layer.weight[1, CHANNELS.index("shape")] = 1.0

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        return self.layer(channels)


@pytest.fixture(scope="module")
def by_looks() -> CompletingNetwork:
    return CompletingNetwork(LooksAndShape(), SIZE, "by looks")


@pytest.fixture(scope="module")
def untrained() -> CompletingNetwork:
    torch.manual_seed(3)
    config = MedNeXtConfig(len(CHANNELS), 2, base_channels=4, block_counts=(1,) * 9)
    return CompletingNetwork(MedNeXt(config), SIZE, "untrained")


def noisy(truth: np.ndarray) -> np.ndarray:
    return (100 + 40 * truth + np.random.default_rng(0).normal(0, 4, truth.shape)).astype(np.float32)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def completed(network, truth, volume, geometry, axis, indices, **options) -> tuple[np.ndarray, ObjectCompletion]:
    """The mask on the volume's grid, from slices of the truth along a voxel axis; the first is step 0."""
    planes = [voxel_plane(geometry, axis, index) for index in indices]
    steps = [round(float(planes[0].distance_mm(plane.origin_ras)) / plane.thickness_mm) for plane in planes]
    masks = [sample_slice(truth.astype(np.float32), geometry, plane, order=0, outside=0.0) for plane in planes]
    look = lambda plane: sample_slice(volume, geometry, plane)  # noqa: E731
    known = dict(zip(steps, masks, strict=True))
    found = ObjectCompletion(network, look, planes[0], KnownSlices(known), lambda plane: cuts(geometry, plane), **options)
    mask = np.zeros(truth.shape, bool)
    way = round(float(planes[0].distance_mm(voxel_plane(geometry, axis, indices[0] + 1).origin_ras)) / planes[0].thickness_mm)
    for step, probability in {**found.found, **known}.items():
        index = indices[0] + way * step
        plane = voxel_plane(geometry, axis, index)
        places = geometry.ijk_from_ras(plane.ras_from_rc(np.argwhere(probability > 0.5)))
        mask[tuple(np.round(places).astype(int)[:, ::-1].T)] = True
    return mask, found


@given(st.sampled_from(list(permutations(range(3)))), st.tuples(*[st.booleans()] * 3))
@settings(max_examples=8, deadline=None)
def test_an_object_is_the_same_in_any_orientation(by_looks, order, flips) -> None:
    truth = ball((20, 26, 24), (10, 12, 11), (6, 8, 7))
    volume, spacing = noisy(truth), np.array([1.5, 0.8, 0.9])
    plain = Geometry(truth.shape, np.diag([*spacing[::-1], 1.0]))
    expected, _ = completed(by_looks, truth, volume, plain, 0, [10])
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for new, old in enumerate(order):  # axis `new` of the array is axis `old` of the plain one
        matrix[2 - old, 2 - new] = spacing[old] * (-1 if flips[new] else 1)
    lines = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    turned = [np.ascontiguousarray(part.transpose(order)[lines]) for part in (truth, volume, expected)]
    axis = order.index(0)
    index = 20 - 1 - 10 if flips[axis] else 10
    found, _ = completed(by_looks, turned[0], turned[1], Geometry(turned[0].shape, matrix), axis, [index])
    assert dice(found, turned[2]) > 0.995  # rounding of halves differs
    assert dice(expected, truth) > 0.9


@given(st.floats(0.05, 40.0), st.tuples(*[st.floats(-300, 300)] * 3))
@settings(max_examples=2, deadline=None)
def test_neither_scale_nor_place_changes_an_answer(untrained, scale, shift) -> None:
    truth = ball((14, 20, 22), (7, 9, 10), (4, 6, 7))
    volume, masks = noisy(truth), []
    for factor, place in ((1.0, (0, 0, 0)), (scale, shift)):
        matrix = np.diag([factor, factor, 2 * factor, 1.0])
        matrix[:3, 3] = place
        masks.append(completed(untrained, truth, volume, Geometry(truth.shape, matrix), 0, [7])[0])
    assert dice(*masks) > 0.995


def test_an_object_ends_where_its_look_does_and_known_slices_stay(by_looks) -> None:
    truth = ball((26, 40, 44), (12, 20, 22), (8, 11, 12))
    geometry = Geometry(truth.shape, np.eye(4))
    mask, found = completed(by_looks, truth, noisy(truth), geometry, 0, [12, 15])
    assert found.ended == {1: "the object ends", -1: "the object ends"}
    assert dice(mask, truth) > 0.92 and np.array_equal(mask[[12, 15]], truth[[12, 15]])
    assert 0 not in found.found


def test_a_slice_known_to_be_empty_ends_it(by_looks) -> None:
    truth = ball((26, 40, 44), (12, 20, 22), (8, 11, 12))
    known = truth.copy()
    known[16] = False
    mask, _found = completed(by_looks, known, noisy(truth), Geometry(truth.shape, np.eye(4)), 0, [12, 16])
    layers = np.flatnonzero(mask.any(axis=(1, 2)))
    assert layers.max() < 16 and layers.min() <= 5


def test_a_long_object_is_followed_cube_by_cube(by_looks) -> None:
    _k, j, i = np.indices((90, 30, 30))
    truth = np.hypot(j - 15, i - 15) < 4
    truth[:30] = False
    mask, found = completed(by_looks, truth, noisy(truth), Geometry(truth.shape, np.eye(4)), 0, [60])
    assert sorted(found.ended.values()) == ["the object ends", "the volume ends"]
    assert dice(mask, truth) > 0.95


def test_an_object_much_larger_than_its_known_slice_gets_a_larger_cube(by_looks) -> None:
    truth = ball((30, 60, 60), (15, 30, 30), (12, 26, 26))
    mask, _found = completed(by_looks, truth, noisy(truth), Geometry(truth.shape, np.eye(4)), 0, [5])
    assert dice(mask, truth) > 0.85


def test_it_can_be_cancelled(by_looks) -> None:
    truth = ball((26, 40, 44), (12, 20, 22), (8, 11, 12))
    with pytest.raises(PromptCancelledError):
        completed(by_looks, truth, noisy(truth), Geometry(truth.shape, np.eye(4)), 0, [12], cancel=lambda: True)


def test_channels_hold_what_is_known_and_where_the_object_is_expected() -> None:
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[5:11, 4:12] = 1
    image = np.random.default_rng(0).normal(0, 1, (SIZE,) * 3).astype(np.float32)
    channels = network_channels(image, {4: mask, 9: 0 * mask})
    inside, outside, shape = (channels[CHANNELS.index(name)] for name in ("inside", "outside", "shape"))
    assert np.array_equal(inside[4], mask) and np.array_equal(outside[4], 1 - mask) and outside[9].all()
    assert not inside[[3, 5]].any() and not outside[[3, 5]].any()
    assert (shape[4][mask > 0] > 0).all() and (shape[4][mask == 0] < 0).all() and (shape[9:] < 0).all()
    areas = [(shape[layer] > 0).sum() for layer in range(4, 10)]
    assert areas == sorted(areas, reverse=True)


def test_clicks_count_twice_on_their_slice_and_reach_its_neighbors() -> None:
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[5:11, 4:12] = 1
    image = np.random.default_rng(0).normal(0, 1, (SIZE,) * 3).astype(np.float32)
    plain = network_channels(image, {4: mask})
    told = network_channels(image, {4: mask}, np.array([[4, 7, 8, 1], [9, 3, 3, 0], [-5, 3, 3, 0]]))
    more = told - plain
    inside, outside = (more[CHANNELS.index(name)] for name in ("inside", "outside"))
    assert inside[4, 7, 8] == 1 and inside[5, 7, 8] == 1 and not inside[6].any() and told.max() <= 2
    assert outside[9, 3, 3] == 1 and outside[9].sum() == 9 and not outside[:8].any()
    assert not more[[CHANNELS.index(name) for name in ("image", "shape", "looks")]].any()


@given(st.floats(0.3, 3.0), st.floats(0.4, 2.0), st.floats(0.5, 4.0), st.floats(-3, 3))
@settings(max_examples=20, deadline=None)
def test_what_a_cube_reads_lies_where_it_writes(voxel, spacing, thickness, off) -> None:
    """The distance along rows, of all places of a volume, comes back on its own pixels."""
    geometry = Geometry((9, 30, 30), np.diag([spacing, spacing, thickness, 1.0]))
    plane = voxel_plane(geometry, 0, 4)
    cube = SliceCube(plane, (off, 15 * spacing, 14 * spacing), voxel, SIZE)
    rows = np.arange(30, dtype=np.float32)[:, None] * np.ones(30, np.float32)
    for step in cube.steps():
        layers = cube.known({step: rows})
        assert layers
        whole = np.broadcast_to(next(iter(layers.values())), (SIZE,) * 3)
        back = cube.on_slice(whole, step, np.nan)
        there = np.isfinite(back)
        assert there.any() or voxel * SIZE < spacing
        border = voxel / spacing + 1  # of voxels that lie partly beside the slice
        inner = there & (rows > border) & (rows < 29 - border) & (rows.T > border) & (rows.T < 29 - border)
        assert np.allclose(back[inner], rows[inner], atol=1e-3)


def test_clicks_of_slices_lie_where_they_were_made() -> None:
    plane = voxel_plane(Geometry((9, 30, 30), np.diag([0.8, 0.8, 2.5, 1.0])), 0, 4)
    cube = SliceCube(plane, (1.0, 12.0, 11.0), 0.7, SIZE)
    (place,) = cube.places_of({2: np.array([[14.0, 13.0, 1.0]])})
    mm = [cube.places_mm(axis)[0] + 0.7 * place[axis] for axis in range(3)]
    assert np.allclose(mm, [5.0, 14 * 0.8, 13 * 0.8]) and place[3] == 1


def test_a_slice_answered_by_few_prompts_is_drawn_anew_and_one_worked_on_stays() -> None:
    truth = ball((24, 48, 52), (12, 24, 26), (7, 11, 13))
    bright = LooksAndShape()
    with torch.no_grad():
        bright.layer.weight.zero_()
        bright.layer.weight[1, CHANNELS.index("image")] = 12.0
    fine = CompletingNetwork(bright, 64, "what is bright")  # voxels no larger than pixels
    for count in (1, 4):
        prompter = RandomWalkerPrompter()
        prompter.completion = fine
        refinement = Refinement(noisy(truth), Geometry(truth.shape, np.eye(4)), prompter)
        plane = voxel_plane(refinement.volume_geometry, 0, 12)
        refinement.add_box(plane.ras_from_rc([[10.0, 10.0], [40.0, 28.0]]), plane)  # half of it
        for number in range(count - 1):
            refinement.add_point(plane.ras_from_rc((20 + 3 * number, 24)), True, plane)
        answered = refinement.probability.copy()
        refinement.whole_object()
        first = refinement.probability
        assert np.array_equal(first, answered) == (count > 3)
        if count == 1:
            assert dice(first > 0.5, truth[12]) > dice(answered > 0.5, truth[12])
            refinement.whole_object()
            assert np.array_equal(refinement.probability, first)  # it goes on from what was answered, not from itself
            assert refinement.undo() and refinement.undo() and np.array_equal(refinement.probability, answered)


def test_corrections_go_on_from_a_completed_object(by_looks) -> None:
    truth = ball((24, 48, 52), (12, 24, 26), (7, 11, 13))
    prompter = RandomWalkerPrompter()
    prompter.completion = by_looks
    refinement = Refinement(noisy(truth), Geometry(truth.shape, np.eye(4)), prompter)
    plane = voxel_plane(refinement.volume_geometry, 0, 12)
    refinement.add_point(plane.ras_from_rc((24, 26)), True, plane)
    assert all(refinement.whole_object())
    first = refinement.preview_segment()
    assert dice(first, truth) > 0.8
    other = voxel_plane(refinement.volume_geometry, 0, 16)
    refinement.add_lasso(other.ras_from_rc([[-1, -1], [-1, 60], [60, 60], [60, -1]]), False, other)
    ended = refinement.whole_object()
    layers = np.flatnonzero(refinement.preview_segment().any(axis=(1, 2)))
    assert "the slice is empty" in ended and "" in ended and layers.max() < 16
    assert refinement.undo() and refinement.undo()
    assert np.array_equal(refinement.preview_segment(), first)
