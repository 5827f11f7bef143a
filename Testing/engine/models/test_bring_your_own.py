"""A user's whole way with each kind of network: import, segment, export, and the same on a machine without a network."""

import json
import pickle
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_models import CARD, PUBLISHED_POOLS, TRANSFORMS, bundle, tiny_stu_net
from nnunet_folders import v1_folder, v1_plans, v2_folder
from scipy.spatial.transform import Rotation
from tiny_models import tiny_mednext

from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image

PATCH = 32


def nnunet_v1(folder: Path) -> Path:
    return v1_folder(folder, folds=2).parent


def nnunet_v2(folder: Path) -> Path:
    return v2_folder(folder, {"background": 0, "organ": 1, "lesion": 2}, 3)


def nnunet_v2_regions(folder: Path) -> Path:
    return v2_folder(folder, {"background": 0, "whole": [1, 2], "core": [2]}, 2, regions_class_order=[1, 2]) / "fold_0"


def stu_net(folder: Path) -> Path:
    folder.mkdir()
    stage = {"patch_size": np.array([PATCH] * 3), "current_spacing": np.array([1.5] * 3)}
    stage["pool_op_kernel_sizes"] = [list(pool) for pool in PUBLISHED_POOLS]
    plans = v1_plans(plans_per_stage={0: stage}, normalization_schemes={0: "nonCT"})
    torch.save({"state_dict": tiny_stu_net(3).state_dict()}, folder / "tiny_ep4k.model")
    info = {"init": ("plans", "all", "out", "data", True, 0), "name": "STUNetTrainer_tiny", "plans": plans}
    (folder / "tiny_ep4k.model.pkl").write_bytes(pickle.dumps(info, 2))
    return folder / "tiny_ep4k.model"


def monai_bundle(folder: Path) -> Path:
    return bundle(folder, TRANSFORMS)


def state_dict_with_card(folder: Path) -> Path:
    folder.mkdir()
    torch.save(tiny_mednext().state_dict(), folder / "weights.pth")
    (folder / "weights.json").write_text(json.dumps({**CARD, "weights_license": "for research only"}))
    return folder / "weights.pth"


def blocked(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("the network was used")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A small oblique CT-like volume."""
    voxels_kji = np.random.default_rng(0).normal(0, 150, (16, 18, 20)).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("z", 12, degrees=True).as_matrix() * (1.0, 0.9, 1.1)
    write_image(image_of(voxels_kji, Geometry(voxels_kji.shape, matrix)), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


@pytest.mark.parametrize("make", [nnunet_v1, nnunet_v2, nnunet_v2_regions, stu_net, monai_bundle, state_dict_with_card])
def test_every_kind_imports_runs_and_moves_to_a_machine_without_a_network(
    make: Callable[[Path], Path],
    volume: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "here"))

    def ran(*arguments: object) -> dict:
        assert main([*map(str, arguments), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    model = ran("models", "import", make(tmp_path / "source"))["id"]
    first = ran("segment", volume, "-o", tmp_path / "here.seg.nrrd", "--model", model, "--device", "cpu")
    exported = ran("models", "export", model, "-o", tmp_path)

    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "there"))
    assert model not in [entry["id"] for entry in ran("models", "list")]
    assert ran("models", "import", exported["file"], "--sha256", exported["sha256"], "--accept-license")["id"] == model
    second = ran("segment", volume, "-o", tmp_path / "there.seg.nrrd", "--model", model, "--device", "cpu")

    here, there = (read_segmentation(tmp_path / f"{place}.seg.nrrd") for place in ("here", "there"))
    assert first["weights_sha256"] == second["weights_sha256"] and here.labels == there.labels
    np.testing.assert_array_equal(here.labelmap_kji, there.labelmap_kji)
    assert here.labelmap_kji.any()
