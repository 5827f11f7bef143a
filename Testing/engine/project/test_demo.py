"""The demo's result lies where the atlas has the hippocampi, and the bundled model reproduces its card."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mednextseg import load_model, segment
from mednextseg.volume_io import read_volume

ATLAS = Path("mini3d") / "mni152_09a_sym" / "mni_icbm152_t1_tal_nlin_sym_09a_labels.nii.gz"
# The atlas's hippocampal subfields, left and right (of the CoBrALab atlases; fimbria and fornix, which run on behind, left out).
ATLAS_LEFT, ATLAS_RIGHT = range(7, 13), (88, 89, 90, 91, 92, 96)


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    """Testing/demo/__main__.py as a module."""
    if importlib.util.find_spec("nilearn") is None:
        pytest.skip("the package nilearn, which carries the head, is not installed (make setup)")
    spec = importlib.util.spec_from_file_location("demo_main", Path(__file__).parents[2] / "demo" / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_main"] = module
    spec.loader.exec_module(module)
    return module


def test_both_hippocampi_are_found_where_the_atlas_has_them(
    demo: ModuleType, shared_data: Path, record_property: object
) -> None:
    volume_kji, geometry = read_volume(demo.template_path())
    labelmap_kji, labels, rows = demo.segment_head(volume_kji, geometry)
    values = {label.name: label.value for label in labels}
    atlas_kji, atlas_geometry = read_volume(shared_data / ATLAS)
    assert atlas_geometry.matches(geometry)
    for side, subfields in (("right", ATLAS_RIGHT), ("left", ATLAS_LEFT)):
        parts = [values[f"{side} {part} hippocampus"] for part in ("anterior", "posterior")]
        ours, atlas = np.isin(labelmap_kji, parts), np.isin(atlas_kji, list(subfields))
        dice = 2 * (ours & atlas).sum() / (ours.sum() + atlas.sum())
        record_property(f"dice_{side}", float(dice))
        distance = np.linalg.norm(np.argwhere(ours).mean(axis=0) - np.argwhere(atlas).mean(axis=0))
        assert distance < 4, f"{side}: the centers are {distance:.1f} mm apart"
        assert dice > 0.75, f"{side}: Dice {dice:.3f} with the atlas"
        anterior, posterior = (np.argwhere(labelmap_kji == v)[:, 1].mean() for v in parts)
        assert anterior > posterior + 10  # J runs from back to front in this volume
    for side, sign in (("left", -1), ("right", 1)):
        for name in ("thalamus", "putamen", "lateral ventricle"):
            voxels_kji = np.argwhere(labelmap_kji == values[f"{side} {name}"])
            assert len(voxels_kji) and sign * geometry.ras_from_ijk(voxels_kji[:, ::-1]).mean(axis=0)[0] > 0
    (brain,) = [row for row in rows if row.is_total]
    assert 1000 < brain.volume_ml < 2200


def test_the_bundled_model_reproduces_its_card_on_three_validation_cases(shared_data: Path) -> None:
    model, folder = load_model("hippocampus-mr"), shared_data / "hippocampus"
    validation = json.loads((folder / "splits_final.json").read_text())[0]["val"]
    dice = []
    for name in validation[:3]:
        volume_kji, geometry = read_volume(folder / "imagesTr" / f"{name}_0000.nii.gz")
        truth_kji, _ = read_volume(folder / "labelsTr" / f"{name}.nii.gz")
        labelmap_kji, _ = segment(volume_kji, geometry, model)
        for value in (1, 2):
            ours, truth = labelmap_kji == value, truth_kji == value
            dice.append(2 * (ours & truth).sum() / (ours.sum() + truth.sum()))
    assert np.mean(dice) > 0.86
