"""A ball to be corrected, and the module's logic with the engine in this process."""

import pytest


@pytest.fixture
def logic(host):
    from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine
    from panel_tools import MODULE

    host.load_module(str(MODULE))
    import MedNeXtSegment

    logic = MedNeXtSegment.MedNeXtSegmentLogic(InProcessEngine())
    yield logic
    logic.close()


@pytest.fixture
def case(host):
    from refine_case import Case

    return Case()
