"""Prompts that are overtaken, removed, or seen through another range of intensities: undo, journal and mask stay in step."""

import numpy as np
import pytest
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import voxel_plane
from mednextseg.refine.strokes import Stroke

_SHAPE, _CENTER = (16, 40, 44), (8, 20, 22)


class Case:
    """A ball in noise, and a refinement of an empty segment on the slice through its middle."""

    def __init__(self):
        self.geometry = Geometry(_SHAPE, np.diag([-1.0, 1.2, 2.0, 1.0]))
        self.truth = ball(_SHAPE, _CENTER, (6, 10, 11))
        noise = np.random.default_rng(0).standard_normal(_SHAPE)
        self.volume = (100 + 80 * self.truth + 4 * noise).astype(np.float32)
        self.prompter = load_prompter("random_walker")
        self.plane = voxel_plane(self.geometry, 0, _CENTER[0])
        self.refinement = Refinement(self.volume, self.geometry, self.prompter)

    def click(self, rc, positive=True, **arguments):
        self.refinement.add_point(self.plane.ras_from_rc(rc), positive, self.plane, **arguments)

    def box(self, edges):
        corners = np.asarray(edges, float).reshape(2, 2) - 0.5
        self.refinement.add_box(self.plane.ras_from_rc(corners), self.plane)

    def replayed(self) -> np.ndarray:
        """The segment with its preview after the journal was written, read and done again."""
        journal = PromptJournal.from_json(self.refinement.journal.to_json())
        return replay(journal, self.volume, self.geometry, self.prompter).preview_segment()


@pytest.fixture
def case():
    return Case()


def test_an_overtaken_click_is_kept_and_the_next_answer_obeys_both(case):
    case.click((20, 22))
    first = case.refinement.probability.copy()
    case.click((20, 30), False, is_answered=False)
    assert np.array_equal(case.refinement.probability, first)
    assert len(case.refinement.active_prompts.labels) == 2
    case.click((28, 22), False)
    assert len(case.refinement.active_prompts.labels) == 3
    mask = case.refinement.probability > 0.5
    assert not mask[20, 30] and not mask[28, 22] and mask[20, 22]
    for expected in (2, 1):
        assert case.refinement.undo()
        assert len(case.refinement.active_prompts.labels) == expected
        assert np.array_equal(case.refinement.probability, first)


def test_a_journal_with_an_overtaken_click_replays_to_the_identical_mask(case):
    case.click((20, 22))
    case.click((20, 33), False, is_answered=False)
    case.click((28, 22), False)
    assert [entry.get("answered", True) for entry in case.refinement.journal.entries] == [True, False, True]
    assert np.array_equal(case.replayed(), case.refinement.preview_segment())


def test_the_box_can_be_removed_undone_and_replayed(case):
    case.box((9, 10, 32, 34))
    boxed = case.refinement.preview_segment()
    assert boxed.any()
    case.refinement.remove_box()
    assert case.refinement.active_prompts.is_empty and not case.refinement.preview_segment().any()
    assert np.array_equal(case.replayed(), case.refinement.preview_segment())
    with pytest.raises(ValueError, match="no box"):
        case.refinement.remove_box()
    case.refinement.undo()
    assert np.array_equal(case.refinement.preview_segment(), boxed)


def test_clicks_without_their_box_are_answered_anew(case):
    case.box((9, 10, 32, 34))
    case.click((20, 22))
    case.refinement.remove_box()
    alone = Case()
    alone.click((20, 22))
    assert np.array_equal(case.refinement.probability, alone.refinement.probability)


def test_the_displayed_range_of_each_prompt_is_in_the_journal(case):
    case.refinement.set_display_range((0.0, 1000.0))
    case.click((20, 22))
    faint = case.refinement.probability.copy()
    case.refinement.set_display_range((0.0, 1000.0))
    case.refinement.set_display_range(None)
    case.click((20, 23))
    assert not np.array_equal(case.refinement.probability, faint)
    actions = [entry["action"] for entry in case.refinement.journal.entries]
    assert actions == ["window", "point", "window", "point"]
    assert np.array_equal(case.replayed(), case.refinement.preview_segment())
    case.refinement.undo()
    assert np.array_equal(case.refinement.probability, faint)


def test_the_nearest_prompt_is_found():
    prompts = Prompts([[10, 10], [20, 20]], [1, 0])
    assert prompts.nearest([12, 11]) == ("point", 0)
    assert prompts.nearest([17, 40]) == ("point", 1)
    boxed = prompts.with_box([5, 5, 30, 30])
    assert boxed.nearest([6, 17]) == ("box", 0)  # one pixel from its upper side
    assert boxed.nearest([19, 21]) == ("point", 1)
    assert boxed.nearest([40, 17]) == ("box", 0)
    stroked = boxed.with_stroke(Stroke([[6, 6], [6, 28]])).with_stroke(Stroke([[20, 8], [28, 8], [24, 12]], False, True))
    assert stroked.nearest([6, 17]) == ("stroke", 0)
    assert stroked.nearest([24, 9]) == ("stroke", 1)  # the lasso's closing side
    assert stroked.nearest([4, 17]) == ("box", 0)
    with pytest.raises(ValueError, match="no prompt"):
        Prompts().nearest([0, 0])
