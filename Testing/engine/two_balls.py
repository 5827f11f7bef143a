"""Two balls, one on each side, which a coarse model tells apart and a fine one divides: for tests of runs that find their own regions."""

from pathlib import Path

import numpy as np
from tiny_models import ball, step_network, write_package

# The shells differ, the cores do not.
AIR, LEFT_SHELL, RIGHT_SHELL, CORE = 0, 30, 60, 90
SHAPE = (28, 30, 60)
CHANNEL = [{"name": "MR", "modality": "other", "normalization": {"scheme": "none"}}]
PLAIN = {"channels": CHANNEL, "patch_size_kji": [32, 32, 16], "overlap": 0.0}
SIDES = {"model": "coarse", "labels": ["left ball", "right ball"], "margin_mm": 3}


def two_balls(shift_kji: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """I runs to the right, as in RAS."""
    volume = np.zeros(SHAPE, dtype=np.float32)
    for i, shell in ((14, LEFT_SHELL), (44, RIGHT_SHELL)):
        center = np.array((12, 14, i)) + shift_kji
        volume[ball(SHAPE, center, (4, 5, 4))] = shell
        volume[ball(SHAPE, center, (2, 2, 2))] = CORE
    return volume


def expected_labels(volume: np.ndarray) -> np.ndarray:
    """Shell 1 and core 2 on the left, 3 and 4 on the right."""
    is_right = np.arange(volume.shape[2]) > 29
    return np.where(volume == CORE, 2, volume > 0) + 2 * (is_right & (volume > 0))


def write_chain(models: Path) -> None:
    """The models "coarse" and "fine" in a library; the fine one only knows boxes, which the coarse one finds."""
    labels = "left ball", "right ball", "core"
    write_package(models / "coarse", step_network((15, 45, 75)), labels, **{**PLAIN, "patch_size_kji": [32, 32, 64]})
    write_package(models / "fine", step_network((25, 75)), ("Shell", "Core"), **PLAIN, needs_region=True, region_from=SIDES)
