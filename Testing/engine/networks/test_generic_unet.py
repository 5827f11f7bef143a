"""Our Generic_UNet is that of nnU-Net v1: names, and outputs where the package is installed; results folders import and run."""

import importlib
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_folders import v1_plans
from nnunet_unets import names_digest

from mednextseg.evaluate.compare.taps import decoder_stages
from mednextseg.geometry import Geometry
from mednextseg.models.families import build_network, family_name
from mednextseg.models.generic_unet_tensors import generic_unet_config_of
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.models.weights import network_from_state_dict
from mednextseg.networks.generic_unet import GenericUNet, GenericUNetConfig
from mednextseg.segment.auto_segmenter import segment

BENCH = Path(__file__).parents[3] / "build" / "bench"
# (pool sizes, kernels) as plans have them: isotropic CT, thick slices, single slices.
PLANS = {
    "isotropic": ([(2, 2, 2)] * 5, [(3, 3, 3)] * 6),
    "thick slices": ([(1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2)], [(1, 3, 3)] * 2 + [(3, 3, 3)] * 3),
    "2d": ([(2, 2)] * 4, [(3, 3)] * 5),
}
# Number of tensors and digest of names and shapes, with 32 channels in the first stage: from nnunet 1.7.1.
PUBLISHED = {"isotropic": (98, "1102ddd99cd4b12b"), "thick slices": (80, "650f20b3423e80c0"), "2d": (80, "75f8dfdc5745b403")}


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """Generic_UNet's module of nnU-Net v1, from the folder of the benchmark."""
    if not (BENCH / "nnunet").is_dir():
        pytest.skip("nnU-Net v1 is not installed; make build/bench/.ready installs it.")
    sys.path.append(str(BENCH))
    module = importlib.import_module("nnunet.network_architecture.generic_UNet")
    sys.path.remove(str(BENCH))
    return module


def config_of(plan: str, width: int = 32, in_channels: int = 1, num_classes: int = 3) -> GenericUNetConfig:
    pools, kernels = PLANS[plan]
    axes, stages = len(pools[0]), len(kernels)
    return GenericUNetConfig(
        in_channels=in_channels,
        num_classes=num_classes,
        widths=tuple(min(width * 2**stage, 320 if axes == 3 else 480) for stage in range(stages)),
        kernel_sizes=tuple(kernels),
        strides=((1,) * axes, *pools),
        encoder_depths=(2,) * stages,
        decoder_depths=(2,) * (stages - 1),
        decoder_kernel_sizes=tuple(reversed(kernels[1:])),
    )


def official(package: ModuleType, plan: str, width: int, in_channels: int = 1) -> torch.nn.Module:
    """As nnUNetTrainerV2 builds it, with norms that are not the identity."""
    pools, kernels = PLANS[plan]
    axes = len(pools[0])
    network = package.Generic_UNet(
        in_channels, width, 3, len(pools), 2, 2,
        getattr(torch.nn, f"Conv{axes}d"), getattr(torch.nn, f"InstanceNorm{axes}d"), {"eps": 1e-5, "affine": True},
        getattr(torch.nn, f"Dropout{axes}d"), {"p": 0, "inplace": True}, torch.nn.LeakyReLU, {"negative_slope": 1e-2, "inplace": True},
        True, False, lambda x: x, None, pools, kernels, False, True, True,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".instnorm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("plan", PLANS)
def test_names_and_shapes_are_the_published_ones(plan: str) -> None:
    with torch.device("meta"):
        tensors = build_network(config_of(plan)).state_dict()
    assert (len(tensors), names_digest(tensors)) == PUBLISHED[plan]
    assert generic_unet_config_of(tensors) == config_of(plan)


@pytest.mark.parametrize("plan", PLANS)
def test_outputs_equal_those_of_the_package(plan: str, package: ModuleType) -> None:
    torch.manual_seed(0)
    theirs = official(package, plan, width=2, in_channels=2)
    ours = network_from_state_dict({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()})
    assert isinstance(ours, GenericUNet) and family_name(ours.config) == "generic_unet"
    *others, last = ours.config.size_divisor
    x = torch.randn(1, 2, *others, 2 * last)
    ours.deep_supervision = True
    with torch.no_grad():
        found, expected = ours(x), theirs(x)
    assert len(found) == len(expected) == len(decoder_stages(ours))
    for y, reference in zip(found, expected, strict=True):
        assert y.shape == reference.shape and (y - reference).abs().max() <= 1e-5
    with torch.device("meta"):
        tensors = official(package, plan, width=32).state_dict()
    assert (len(tensors), names_digest(tensors)) == PUBLISHED[plan]


def test_missing_tensors_are_named_and_odd_configs_refused() -> None:
    tensors = build_network(config_of("2d", 2)).state_dict()
    with pytest.raises(ValueError, match=r"lack seg_outputs\.3\.weight"):
        network_from_state_dict({name: tensor for name, tensor in tensors.items() if "seg_outputs.3" not in name})
    with pytest.raises(ValueError, match=r"conv_blocks_context\.0\.blocks\.1\.instnorm\.bias is missing"):
        network_from_state_dict({n: t for n, t in tensors.items() if n != "conv_blocks_context.0.blocks.1.instnorm.bias"})
    with pytest.raises(ValueError, match="needs 1 decoder_kernel_sizes, got 0"):
        GenericUNetConfig(1, 2, (2, 2), ((3, 3),) * 2, ((1, 1), (2, 2)), (2, 2), (2,))


def folder(root: Path, plan: str, trainer: str = "nnUNetTrainerV2", **changes: Any) -> Path:
    """A trainer's folder of nnU-Net v1 around a small network of this plan."""
    torch.manual_seed(0)
    network = build_network(config_of(plan, width=2))
    with torch.no_grad():
        network.seg_outputs[-1].weight.mul_(8)
    fold = root / ("2d" if plan == "2d" else "3d_fullres") / "Task007_Tiny" / f"{trainer}__nnUNetPlansv2.1" / "fold_0"
    fold.mkdir(parents=True)
    torch.save({"state_dict": network.state_dict()}, fold / "model_final_checkpoint.model")
    patch, spacing = ((16, 32), (5.0, 1.0, 1.0)) if plan == "2d" else ((4, 16, 32), (5.0, 1.0, 1.0))
    stage = {"patch_size": np.array(patch), "current_spacing": np.array(spacing), "pool_op_kernel_sizes": PLANS[plan][0]}
    plans = v1_plans(plans_per_stage={0: stage}, **changes)
    (fold.parent / "plans.pkl").write_bytes(pickle.dumps(plans, 2))
    info = {"init": ("p", 0, "out", "data", True, 0, True, False, True), "name": trainer, "plans": plans}
    (fold / "model_final_checkpoint.model.pkl").write_bytes(pickle.dumps(info, 2))
    return fold.parent


@pytest.mark.parametrize(("plan", "windows"), [("thick slices", 1), ("2d", 4)])
def test_results_folders_import_and_label_what_the_network_says(
    plan: str, windows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    changes = {"preprocessor_name": "PreprocessorFor2D"} if plan == "2d" else {}
    model = load_model(import_model(folder(tmp_path, plan, **changes)).folder)
    image = np.random.default_rng(0).normal(1, 3, (4, 16, 32)).astype(np.float32)
    spacing_k = 3.0 if plan == "2d" else 5.0  # what lies between slices does not matter to a network of slices
    labels, report = segment(image, Geometry(image.shape, np.diag([-1.0, -1.0, spacing_k, 1.0])), model, device="cpu")
    x = torch.from_numpy((np.clip(image, -5, 5) - 1) / 2)
    network = model.network_loaders("cpu")[0]()
    with torch.no_grad():
        expected = (
            torch.cat([network(x[None, None, k : k + 1]) for k in range(4)], 2) if plan == "2d" else network(x[None, None])
        )
    assert len(expected.argmax(1).unique()) > 1 and (labels == expected[0].argmax(0).numpy()).mean() >= 0.999
    assert report.windows.full == windows and model.card.mirror_axes_kji == ((1, 2) if plan == "2d" else (0, 1, 2))


@pytest.mark.parametrize("trainer", ["nnUNetTrainerV2_ReLU", "nnUNetTrainerV2_Mish", "nnUNetTrainerV2_GN"])
def test_trainers_with_other_activations_or_norms_are_refused(
    trainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match=f"{trainer} trains a network with other activations or norms"):
        import_model(folder(tmp_path, "thick slices", trainer))
