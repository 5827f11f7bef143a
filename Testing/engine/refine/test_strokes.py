"""Scribbles and lassos: which pixels they mean, what each prompter makes of them, undo and replay."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.journal import VERSION, PromptJournal
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import plane_through, voxel_plane
from mednextseg.refine.strokes import MOST_POINTS, Stroke, enclosed, mask_after_lassos

_SHAPE, _CENTER = (16, 40, 44), (8, 20, 22)
_PLACE = st.floats(-15, 55, allow_nan=False)


def circle(radius: float, center=(20.0, 22.0)) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    return np.stack([center[0] + radius * np.sin(angles), center[1] + radius * np.cos(angles)], axis=1)


class Case:
    """A ball in noise, and a refinement of an empty segment on the slice through its middle."""

    def __init__(self, prompter="random_walker"):
        self.geometry = Geometry(_SHAPE, np.diag([-1.0, 1.2, 2.0, 1.0]))
        self.truth = ball(_SHAPE, _CENTER, (6, 10, 11))
        self.volume = (100 + 80 * self.truth + 4 * np.random.default_rng(0).standard_normal(_SHAPE)).astype(np.float32)
        self.prompter = load_prompter(prompter)
        self.plane = voxel_plane(self.geometry, 0, _CENTER[0])
        self.refinement = Refinement(self.volume, self.geometry, self.prompter)

    def scribble(self, points_rc, positive=True, plane=None):
        plane = plane or self.plane
        self.refinement.add_scribble(plane.ras_from_rc(points_rc), positive, plane)

    def lasso(self, points_rc, positive=True):
        self.refinement.add_lasso(self.plane.ras_from_rc(points_rc), positive, self.plane)

    @property
    def mask(self):
        return self.refinement.probability > 0.5

    def dice(self):
        truth = self.truth[_CENTER[0]]
        return 2 * (self.mask & truth).sum() / (self.mask.sum() + truth.sum())


@given(corners=st.lists(st.tuples(_PLACE, _PLACE), min_size=3, max_size=7))
def test_a_lasso_encloses_what_the_even_odd_rule_says(corners):
    corners = np.array(corners)
    inside = enclosed(corners, (9, 11))
    for row, col in np.ndindex(9, 11):
        crossings = 0
        for (r0, c0), (r1, c1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if (r0 <= row) != (r1 <= row):
                crossings += c0 + (row - r0) * (c1 - c0) / (r1 - r0) <= col
        assert inside[row, col] == (crossings % 2 == 1)


@given(points=st.lists(st.tuples(_PLACE, _PLACE), min_size=1, max_size=6))
def test_a_scribble_is_a_line_without_gaps(points):
    stroke = Stroke(points)
    sampled = stroke.sampled_rc(0.5)
    assert np.allclose(sampled[0], points[0]) and np.allclose(sampled[-1], points[-1])
    assert (np.linalg.norm(np.diff(sampled, axis=0), axis=1) <= 0.5 + 1e-9).all()
    drawn = stroke.pixels((40, 44))
    for row, col in np.floor(np.array(points) + 0.5).astype(int):
        assert not (0 <= row < 40 and 0 <= col < 44) or drawn[row, col]


@pytest.mark.parametrize("wrong", [([],), ([[1, 2], [3, 4]], True, True), ([[1, np.nan]],), (np.zeros((MOST_POINTS + 1, 2)),)])
def test_senseless_strokes_are_refused_with_a_sentence(wrong):
    with pytest.raises(ValueError, match=r"a (scribble|lasso) needs .*draw it again[.]$"):
        Stroke(*wrong)


def test_lassos_add_to_a_mask_and_take_from_it_in_their_order():
    around, inner = Stroke(circle(8), True, True), Stroke(circle(4), False, True)
    assert mask_after_lassos(None, (inner,), (40, 44)) is None
    ring = mask_after_lassos(None, (around, inner), (40, 44)) > 0
    assert np.array_equal(ring, around.pixels((40, 44)) & ~inner.pixels((40, 44)))
    assert np.array_equal(mask_after_lassos(None, (inner, around), (40, 44)) > 0, around.pixels((40, 44)))
    start = np.full((40, 44), 0.7, np.float32)
    assert mask_after_lassos(start, (Stroke([[1, 1]]),), (40, 44)) is start


@pytest.mark.parametrize("prompter", ["random_walker", "clicknet"])
def test_a_quick_stroke_or_a_rough_lasso_starts_an_object(prompter):
    case = Case(prompter)
    case.scribble([[20, 14], [18, 22], [22, 30]])
    assert case.dice() > 0.85 and case.mask[20, 14] and case.mask[22, 30]
    case = Case(prompter)
    case.lasso(circle(13))
    assert case.dice() > 0.85


@pytest.mark.parametrize("prompter", ["random_walker", "clicknet"])
def test_what_was_scribbled_off_or_lassoed_off_is_off(prompter):
    case = Case(prompter)
    case.scribble([[20, 14], [20, 30]])
    case.scribble([[12, 22], [15, 22]], positive=False)
    assert not case.mask[12:16, 22].any() and case.mask[20, 14:31].all()
    corner = circle(5, (26, 22))
    case.lasso(corner, positive=False)
    assert not (case.mask & enclosed(corner, case.mask.shape)).any() and case.mask[20, 16]
    case.refinement.add_point(case.plane.ras_from_rc([26, 22]), True, case.plane)
    assert case.mask[26, 22]  # a click wins over the lasso


@pytest.mark.parametrize("prompter", ["random_walker", "clicknet"])
def test_a_negative_lasso_alone_is_no_object(prompter):
    case = Case(prompter)
    case.lasso(circle(6), positive=False)
    assert not case.mask.any()


def test_strokes_are_removed_undone_and_replayed_on_any_plane(tmp_path):
    case = Case()
    oblique = plane_through(case.geometry, case.geometry.ras_from_ijk(np.array([22.0, 20, 8])), (0.2, -1, 0.3), (-1, -0.3, 0.2))
    case.lasso(circle(12))
    case.scribble([[11, 10], [30, 10]], positive=False)
    with_both = case.mask.copy()
    case.refinement.remove_stroke(0)
    assert [stroke.is_lasso for stroke in case.refinement.active_prompts.strokes] == [False]
    case.refinement.undo()
    assert np.array_equal(case.mask, with_both)
    center = oblique.rc_from_ras(case.geometry.ras_from_ijk(np.array([22.0, 20, 8])))
    case.scribble(np.add(center, [[-3, -3], [0, 2], [3, 4]]), plane=oblique)
    case.refinement.journal.save(tmp_path / "strokes.json")
    journal = PromptJournal.load(tmp_path / "strokes.json")
    assert [entry["action"] for entry in journal.entries] == ["lasso", "scribble", "remove_stroke", "undo", "scribble"]
    again = replay(journal, case.volume, case.geometry, case.prompter)
    assert np.array_equal(again.preview_segment(), case.refinement.preview_segment())
    with pytest.raises(ValueError, match="no stroke 5"):
        case.refinement.remove_stroke(5)


def test_journals_with_senseless_strokes_are_refused():
    case = Case()
    case.lasso(circle(12))
    raw = json.loads(case.refinement.journal.to_json())
    assert raw["version"] == VERSION == 4
    for points in ([[1, 2, 3]], [[1, 2], [3, 4], [5, 6]], [[0, 0, float("nan")]] * 3, "line", None):
        raw["entries"][0]["points_ras_mm"] = points
        with pytest.raises(ValueError, match='impossible "points_ras_mm"'):
            PromptJournal.from_json(json.dumps(raw))


def test_strokes_beside_the_volume_or_through_slices_are_refused_and_those_over_its_edge_are_not():
    case = Case()
    with pytest.raises(ValueError, match="lies beside the volume"):
        case.scribble([[-9, 3], [-5, 3]])
    points = np.add(case.plane.ras_from_rc([[20, 14], [20, 30]]), [[0, 0, 0], [0, 0, 2.5]])
    with pytest.raises(ValueError, match="not on one slice"):
        case.refinement.add_scribble(points, True, case.plane)
    assert not case.refinement.can_undo
    case.scribble([[20, 22], [-4, 22]])
    assert case.mask[20, 22]
    case.lasso([[-3, -3], [-3, 50], [50, 50], [50, -3]], positive=False)  # around everything
    assert not case.mask.any()


def test_prompters_are_asked_directly_too():
    case = Case()
    embedding = case.prompter.encode(case.volume[8])
    result = case.prompter.predict(embedding, Prompts(strokes=(Stroke(circle(13), True, True),)))
    assert 2 * (result.mask & case.truth[8]).sum() / (result.mask.sum() + case.truth[8].sum()) > 0.85
