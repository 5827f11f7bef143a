"""Three cases of one ball each, and a network that labels what is bright: for adaptations of milliseconds."""

import json
from pathlib import Path

import numpy as np
from tiny_models import ball, step_network, write_package

from mednextseg.geometry import Geometry
from mednextseg.volume_io import image_of, write_image

SHAPE = (16, 16, 32)
GEOMETRY = Geometry(SHAPE, np.diag([-1.0, 1.0, 1.0, 1.0]))


def write_bright(folder: Path) -> Path:
    """A network that labels what is bright, with a second label that the cases do not have."""
    return write_package(folder, step_network((1.0, 9.0)), ("Ball", "Lamp"), patch_size_kji=[16, 16, 32])


def write_balls(folder: Path, count: int = 3) -> Path:
    """Cases of one ball each, with a rim that the base does not take for it, in nnU-Net's layout."""
    rng = np.random.default_rng(0)
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for number in range(count):
        mask = ball(SHAPE, rng.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5))
        volume = (100 * mask + rng.normal(0, 5, SHAPE)).astype(np.float32)
        write_image(image_of(volume, GEOMETRY), folder / "imagesTr" / f"case{number}_0000.nii.gz")
        write_image(image_of(mask.astype(np.uint8), GEOMETRY), folder / "labelsTr" / f"case{number}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "BALL": 1}}))
    return folder
