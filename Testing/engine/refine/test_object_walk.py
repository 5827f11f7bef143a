"""Slices of an object between known ones and beyond them: where it ends, what it keeps to, and large ones seen coarsely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.refine.object_walk import ObjectWalk
from mednextseg.refine.prompter import PromptCancelledError
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.slices.slice_window import SliceWindow
from mednextseg.refine.volume_edges import cuts


class Case:
    """A bright object in noise; step 0 is its middle slice."""

    def __init__(self, truth: np.ndarray, middle: int, contrast: float = 40.0, thickness: float = 1.0) -> None:
        self.truth, self.middle = truth, middle
        noise = np.random.default_rng(0).normal(0, 6, truth.shape)
        self.volume = (100 + contrast * truth + noise).astype(np.float32)
        self.geometry = Geometry(truth.shape, np.diag([1.0, 1.0, thickness, 1.0]))
        self.plane = voxel_plane(self.geometry, 0, middle)
        self.way = int(np.sign(self.plane.distance_mm(voxel_plane(self.geometry, 0, middle + 1).origin_ras)))

    def walk(self, *indices: int, **options) -> ObjectWalk:
        known = {self.step(index): self.truth[index].astype(np.float32) for index in indices}
        return ObjectWalk(lambda plane: sample_slice(self.volume, self.geometry, plane), self.plane, known, **options)

    def step(self, index: int) -> int:
        return self.way * (index - self.middle)

    def inside(self, plane) -> bool:
        return cuts(self.geometry, plane)

    def whole(self, found: dict[int, np.ndarray], *indices: int) -> np.ndarray:
        mask = np.zeros_like(self.truth)
        for step, probability in found.items():
            mask[self.middle + self.way * step] = probability > 0.5
        for index in indices:
            mask[index] = self.truth[index]
        return mask


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def cylinder(shape: tuple[int, int, int], radius: float, layers: slice) -> np.ndarray:
    _k, j, i = np.indices(shape)
    truth = np.hypot(j - shape[1] / 2, i - shape[2] / 2) < radius
    truth[: layers.start], truth[layers.stop :] = False, False
    return truth


@pytest.mark.parametrize("contrast", [40.0, -40.0])
def test_an_object_ends_where_its_look_does(contrast: float) -> None:
    case = Case(ball((26, 40, 44), (12, 20, 22), (8, 11, 12)), 12, contrast)
    walk = case.walk(12)
    parts = [walk.beyond(0, way, case.inside) for way in (1, -1)]
    assert [why for _found, why in parts] == ["the object ends"] * 2
    found = case.whole({**parts[0][0], **parts[1][0]}, 12)
    assert dice(found, case.truth) > 0.93
    layers = np.flatnonzero(found.any(axis=(1, 2)))
    assert 4 <= layers.min() <= 6 and 18 <= layers.max() <= 20


def test_a_long_object_goes_on_to_the_end_of_the_volume_or_to_its_own() -> None:
    case = Case(cylinder((60, 40, 40), 5.0, slice(22, 60)), 40)
    walk = case.walk(40)
    (up, why_up), (down, why_down) = (walk.beyond(0, case.step(40 + way), case.inside) for way in (1, -1))
    assert (why_up, why_down) == ("the volume ends", "the object ends")
    assert dice(case.whole({**up, **down}, 40), case.truth) > 0.95


def test_what_lies_between_two_slices_keeps_to_both_and_ends_at_an_empty_one() -> None:
    case = Case(ball((26, 40, 44), (12, 20, 22), (8, 11, 12)), 12)
    between = case.walk(12, 17).between(0, case.step(17))
    assert sorted(between) == sorted(case.step(index) for index in range(13, 17))
    assert dice(case.whole(between)[13:17], case.truth[13:17]) > 0.95
    ended = case.walk(12, 24).between(case.step(24), 0)
    assert dice(case.whole(ended)[13:24], case.truth[13:24]) > 0.85
    assert case.walk(12, 13).between(0, case.step(13)) == {}


def test_large_objects_are_seen_coarsely_and_come_back_on_their_own_pixels() -> None:
    case = Case(ball((40, 120, 130), (20, 60, 65), (14, 38, 42)), 20)
    walk = case.walk(20)
    found = {}
    for way in (1, -1):
        found.update(walk.beyond(0, way, case.inside)[0])
    assert all(part.shape == (120, 130) and part.dtype == np.float32 for part in found.values())
    assert dice(case.whole(found, 20), case.truth) > 0.93


def test_a_walk_can_be_cancelled() -> None:
    case = Case(ball((26, 40, 44), (12, 20, 22), (8, 11, 12)), 12)
    with pytest.raises(PromptCancelledError):
        case.walk(12, cancel=lambda: True).beyond(0, 1, case.inside)


@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 4), st.integers(0, 9), st.data())
@settings(max_examples=25)
def test_a_window_holds_its_mask_and_knows_where_it_lies(rows: int, cols: int, step: int, pad: int, data) -> None:
    mask = np.zeros((rows, cols), bool)
    top, left = data.draw(st.integers(0, rows - 3)), data.draw(st.integers(0, cols - 3))
    mask[top : top + 3, left : left + 3] = True
    window = SliceWindow.around(mask, (pad, pad), step)
    geometry = Geometry((2, rows, cols), np.diag([0.7, 1.3, 2.0, 1.0]))
    plane = voxel_plane(geometry, 0, 1)
    seen = window.plane(plane)
    middle = (step - 1) / 2
    assert np.allclose(
        plane.rc_from_ras(seen.ras_from_rc([1, 2])), [window.top + step + middle, window.left + 2 * step + middle]
    )
    assert window.cut(mask).sum() * step**2 == pytest.approx(9)
    back = window.put_back(window.cut(mask), mask.shape)
    assert back.shape == mask.shape
    if step == 1:
        assert np.array_equal(back > 0.5, mask)
    border = window.inner_border(mask.shape)
    assert border[0, 0] == (window.top > 0 or window.left > 0)
    assert border[0, 1] == (window.top > 0)
