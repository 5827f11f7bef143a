"""One bright ellipsoid in noise, on anisotropic voxels, and the prompter that needs no network."""

import numpy as np
import pytest
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.refine import load_prompter

_SHAPE = (24, 48, 52)
_CENTER = (12, 24, 26)


@pytest.fixture(scope="module")
def prompter():
    return load_prompter("random_walker")


@pytest.fixture(scope="module")
def geometry():
    matrix = np.diag([-1.0, 1.2, 2.0, 1.0])
    matrix[:3, 3] = (40, -10, 5)
    return Geometry(_SHAPE, matrix)


@pytest.fixture(scope="module")
def truth():
    return ball(_SHAPE, _CENTER, (7, 11, 13))


@pytest.fixture(scope="module")
def volume(truth):
    noise = np.random.default_rng(0).standard_normal(_SHAPE)
    return (100 + 80 * truth + 4 * noise).astype(np.float32)
