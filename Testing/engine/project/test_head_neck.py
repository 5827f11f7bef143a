"""The bundled head-and-neck model does on a validation case about what its card says."""

from pathlib import Path

import numpy as np

from mednextseg import load_model, segment
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.volume_io import read_volume

CASE = "validation_pt_202"
# Values in OpenKBP's labelmaps. A Dice far below the card's mean would be a mistake in the way, not in the weights.
EXPECTED = {"right parotid gland": (3, 0.55), "left parotid gland": (4, 0.55), "mandible": (7, 0.7)}
MARGIN_MM = 20.0


def test_parotids_and_mandible_are_found_on_their_sides(shared_data: Path) -> None:
    folder = shared_data / "openkbp_headneck"
    volume_kji, geometry = read_volume(folder / "images" / f"{CASE}_0000.nii.gz")
    reference_kji, _ = read_volume(folder / "labels" / f"{CASE}.nii.gz")
    values = [value for value, _ in EXPECTED.values()]
    places = geometry.ras_from_ijk(np.argwhere(np.isin(reference_kji, values))[:, ::-1])
    low, high = places.min(axis=0) - MARGIN_MM, places.max(axis=0) + MARGIN_MM
    around = RegionOfInterest(tuple(np.stack([low, high], axis=1).ravel()))
    labelmap_kji, report = segment(volume_kji, geometry, load_model("head-neck-ct"), around, list(EXPECTED))
    found = {label.name: label.value for label in report.labels}
    for name, (value, least) in EXPECTED.items():
        ours, truth = labelmap_kji == found[name], reference_kji == value
        dice = 2 * (ours & truth).sum() / (ours.sum() + truth.sum())
        assert dice > least, f"{name}: Dice {dice:.3f}"
