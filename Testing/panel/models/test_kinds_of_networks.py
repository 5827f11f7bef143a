"""Every kind of network that comes in by a click gives the same labels in the panel, in the console and on the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import slicer
from monai_bundles import write_bundle
from nnunet_cascade_v1 import small_cascade
from nnunet_unets import cascade_folders, results_folder, tiny_architecture

from library_tools import importedFrom, ranOn
from mednextseg.cli import main
from mednextseg.segmentation_io import read_segmentation
from panel_tools import addVolume, segmentNames, voxelsOf

KINDS: dict[str, Callable[[Path], Path]] = {
    "plain U-Net of nnU-Net v2": lambda root: results_folder(root, tiny_architecture("PlainConvUNet")),
    "residual U-Net of nnU-Net v2": lambda root: results_folder(root, tiny_architecture("ResidualEncoderUNet")),
    "2d U-Net of nnU-Net v2": lambda root: results_folder(
        root, tiny_architecture("PlainConvUNet", axes=2), "2d", spacing=[1.0, 1.0], patch_size=[16, 16]
    ),
    "cascade of nnU-Net v2": cascade_folders,
    "cascade of nnU-Net v1": small_cascade,
    "bundle of MONAI": lambda root: write_bundle(root / "bundle"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_runs_alike_in_all_three(host, widget, library, tmp_path: Path, kind: str) -> None:
    said = importedFrom(host, library, KINDS[kind](tmp_path / "source"))
    assert "is installed" in said, said
    card = widget.panel.segment.model.card
    names = [label.name for label in card.labels]
    volume = addVolume("CT")
    node = ranOn(host, widget, volume)
    assert segmentNames(node) == names

    fromConsole = widget.logic.segment(volume, card.id, device="cpu")

    assert slicer.util.saveNode(volume, str(tmp_path / "ct.nrrd"))
    output = tmp_path / "labels.seg.nrrd"
    assert main(["segment", str(tmp_path / "ct.nrrd"), "-o", str(output), "--model", card.id, "--device", "cpu"]) == 0
    fromCommand = read_segmentation(output)
    values = {label.name: label.value for label in fromCommand.labels}
    found = [voxelsOf(node, name, volume) for name in names]
    assert any(mask.any() for mask in found)
    for name, mask in zip(names, found, strict=True):
        assert np.array_equal(voxelsOf(fromConsole, name, volume), mask)
        assert np.array_equal(fromCommand.labelmap_kji == values[name], mask)
