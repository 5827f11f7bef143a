"""What is announced before a run is what the run then costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.run_plan import plan_run


@pytest.mark.parametrize("angle_deg", [0, 8, 40])
@pytest.mark.parametrize("region", [None, RegionOfInterest((-8, 8, -6, 9, -7, 7))])
def test_the_planned_passes_and_memory_are_those_of_the_run(tiny_model, angle_deg, region) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix() * (1.4, 1.1, 0.9)
    matrix[:3, 3] = (-20, -18, -12)
    geometry = Geometry((26, 30, 34), matrix)
    volume = np.random.default_rng(0).normal(size=geometry.shape_kji)
    recipe = SegmentRecipe(overlap=0.25)
    plan = plan_run(geometry, tiny_model, region, recipe, "cpu")
    _, report = segment(volume, geometry, tiny_model, region, None, recipe, "cpu")
    assert plan.forward_passes == report.windows.forward_passes > 0
    assert plan.memory_bytes == report.memory.total
    assert plan.device == "cpu" and plan.available_bytes > 0


@given(st.sampled_from(range(3)), st.floats(6, 150))
def test_a_spacing_that_no_machine_could_follow_is_refused_at_once(tiny_model, axis: int, power: float) -> None:
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 10.0**power
    geometry = Geometry((6, 7, 8), np.diag([*spacing, 1.0]))
    for call in (
        lambda: plan_run(geometry, tiny_model, None, SegmentRecipe(), "cpu"),
        lambda: segment(np.zeros(geometry.shape_kji), geometry, tiny_model, device="cpu"),
    ):
        with pytest.raises(ValueError, match="more than any machine takes; check its own spacing"):
            call()
