"""Labels that share voxels: each stays whole, from the network's outputs to the file, and elsewhere nothing changes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import copy_with, tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.layered_segmentation import read_layered
from mednextseg.models.loaded_model import load_model
from mednextseg.models.model_card import card_from_dict, read_card
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.finish.layers import layers_of
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import image_of, write_image

NAMES = ("core", "whole", "enhancing")
GRID = Geometry((18, 20, 22), np.diag([-1.0, -1.0, 1.2, 1.0]))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(
        tmp_path_factory.mktemp("made") / "tumor", tiny_mednext(), NAMES, activation="sigmoid", labels_overlap=True
    )


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, GRID.shape_kji).astype(np.float32)


@given(st.integers(1, 32), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_every_output_is_reduced_as_if_it_were_alone(channels: int, planes: int, target: int, seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(channels, planes, 4, 3)).astype(np.float32))
    labels = [Label(number, f"label {number}", (0, 0, 0)) for number in range(3, channels + 3)]
    shapes = (planes, 4, 3), (target, 5, 7)
    together = LabelReduction(*shapes, [label.value for label in labels], "sigmoid", labels_overlap=True)
    together.add(0, values)
    layers = layers_of(together.labelmap_kji, labels)
    for layer, label, own in zip(layers, labels, values, strict=True):
        alone = LabelReduction(*shapes, [label.value], "sigmoid")
        alone.add(0, own[None])
        assert np.array_equal(layer, alone.labelmap_kji)


def test_a_run_gives_a_layer_for_each_label_and_painting_them_is_the_run_without(
    package: Path, volume: np.ndarray, tmp_path: Path
) -> None:
    layers, report = segment(volume, GRID, load_model(package), device="cpu")
    painted, _ = segment(volume, GRID, load_model(copy_with(package, tmp_path / "painted", labels_overlap=False)), device="cpu")
    assert layers.shape == (3, *GRID.shape_kji) and ((layers > 0).sum(axis=0) > 1).any()
    assert np.array_equal(painted, layers.max(axis=0))  # later numbers are painted over earlier ones
    counts = {name: float(np.count_nonzero(layer)) for name, layer in zip(NAMES, layers, strict=True)}
    assert report.volumes_ml == pytest.approx({name: count * 1.2e-3 for name, count in counts.items()})
    some, report = segment(
        volume, GRID, load_model(package), RegionOfInterest((-12, -3, -15, -4, 2, 9)), ["enhancing", "core"], device="cpu"
    )
    assert [label.name for label in report.labels] == ["enhancing", "core"] and some.shape[0] == 2
    assert set(np.unique(some[0])) == {0, 3} and set(np.unique(some[1])) == {0, 1}
    assert not some[:, :1].any() and some.any()


def test_the_command_line_writes_a_layer_for_each_and_refuses_a_plain_labelmap_before_the_run(
    package: Path, volume: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, output = tmp_path / "case.nii.gz", tmp_path / "case.seg.nrrd"
    write_image(image_of(volume, GRID), image)
    command = ["segment", str(image), "--model", str(package), "--device", "cpu", "-o"]
    assert main([*command, str(output)]) == 0
    written = read_layered(output)
    layers, report = segment(volume, GRID, load_model(package), device="cpu")
    assert [row.layer for row in written.segments] == [0, 1, 2] and written.overlapping_voxels() > 0
    for index, name in enumerate(NAMES):
        assert written.segments[index].label.name == name and np.array_equal(written.mask_kji(index), layers[index] > 0)
    assert main([*command, str(tmp_path / "plain.nii.gz")]) != 0
    assert "the segments overlap, which plain.nii.gz cannot hold" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"ends in \.seg\.nrrd"):
        write_segmentation(tmp_path / "plain.nii.gz", layers, GRID, report.labels)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation": "softmax"}, 'needs the activation "sigmoid"'),
        ({"labels_overlap": 1}, "labels_overlap must be true or false"),
        ({"region_from": {"model": "other", "labels": ["head"], "margin_mm": 5}}, "labels_overlap and region_from cannot"),
        ({"labels": [{"value": n, "name": f"part {n}", "color": [0, 0, n]} for n in range(1, 34)]}, "at most 32"),
    ],
)
def test_a_card_that_cannot_be_meant_is_refused(package: Path, changes: dict, reason: str) -> None:
    raw = read_card(package).to_dict()
    with pytest.raises(ValueError, match=reason):
        card_from_dict({**raw, **changes})
