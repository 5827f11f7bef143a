"""Image geometries for property tests: every orientation code, and any oblique grid."""

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry

CODES = ["".join(code) for axes in permutations(("RL", "AP", "SI")) for code in product(*axes)]

spacings = st.tuples(*[st.floats(0.3, 8.0)] * 3)
shapes = st.tuples(*[st.integers(2, 9)] * 3)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any rotation, mirrored or not, spacing and origin."""
    rotation = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(draw(spacings)) * np.array([draw(st.sampled_from([-1, 1])), 1, 1])
    matrix[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return Geometry(draw(shapes), matrix)
