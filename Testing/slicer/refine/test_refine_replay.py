"""A journal in a session: all of it is done, or nothing."""

import json

import numpy as np
import pytest

from mednextseg.refine.journal import PromptJournal
from refine_case import SHAPE_KJI, WALKER


@pytest.mark.parametrize("bad", [{"action": "remove_point", "index": 99}, {"action": "redo"}, {"action": "remove_box"}])
def test_a_journal_that_fails_on_its_way_leaves_the_segment_as_it_was(logic, case, bad):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    painted = np.zeros(SHAPE_KJI, bool)
    painted[:2, :5, :5] = True
    case.put("ball", painted)
    session.addPoint(case.world(), plane=(0, 0, 1))
    session.addPoint(case.world((0, 0, 4)), plane=(0, 1, 0))
    raw = json.loads(session.journal.to_json())
    raw["entries"].append(bad)
    case.put("ball", painted)
    again = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    with pytest.raises(ValueError, match=r"."):
        again.replay(PromptJournal.from_json(json.dumps(raw)))
    assert np.array_equal(case.mask(), painted) and not again.canUndo
    again.addPoint(case.world(), plane=(0, 0, 1))
    again.undo()
    assert np.array_equal(case.mask(), painted)
