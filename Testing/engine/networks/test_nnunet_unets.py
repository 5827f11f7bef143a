"""Our PlainConvUNet and ResidualEncoderUNet are those of nnU-Net v2: names, counts, and outputs where the package is installed."""

import importlib
import json
import pydoc
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunet_unets import (
    REAL_PLANS,
    architecture,
    as_checkpoint,
    class_name,
    config_of,
    names_digest,
    narrowed,
    tiny_architecture,
)
from torch import nn

from mednextseg.evaluate.compare.taps import decoder_stages
from mednextseg.kernels import accelerate
from mednextseg.kernels.plain import PlainRunner
from mednextseg.models.families import build_network, size_divisor
from mednextseg.models.weights import network_from_state_dict

NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
PUBLISHED = json.loads((Path(__file__).parent / "nnunet_unets.json").read_text())
BENCH = Path(__file__).parents[3] / "build" / "bench"


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """The networks of dynamic-network-architectures, from the folder of the benchmark."""
    if not (BENCH / "dynamic_network_architectures").is_dir():
        pytest.skip("dynamic-network-architectures is not installed; make build/bench/.ready installs it.")
    sys.path.append(str(BENCH))
    networks = importlib.import_module("dynamic_network_architectures.architectures.unet")
    sys.path.remove(str(BENCH))
    return networks


def official(package: ModuleType, entry: dict[str, Any], in_channels: int, num_classes: int) -> nn.Module:
    """The package's network of a plan, built as nnU-Net builds it, with norms that are not the identity."""
    arguments = dict(entry["arch_kwargs"])
    for name in entry["_kw_requires_import"]:
        arguments[name] = None if arguments[name] is None else pydoc.locate(arguments[name])
    made = getattr(package, class_name(entry))
    network = made(input_channels=in_channels, num_classes=num_classes, deep_supervision=True, **arguments).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def patch(entry: dict[str, Any], in_channels: int) -> torch.Tensor:
    """As small as the plan allows: the coarsest stage keeps two voxels."""
    *others, last = size_divisor(config_of(entry, in_channels, 2))
    return torch.randn(1, in_channels, *others, 2 * last)


def assert_same_outputs(package: ModuleType, entry: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs = official(package, entry, 2, 3)
    ours = network_from_state_dict(theirs.state_dict(), entry)
    ours.deep_supervision = True
    x = patch(entry, 2)
    with torch.no_grad():
        expected, found = theirs(x), ours(x)
    assert len(found) == len(expected) == entry["arch_kwargs"]["n_stages"] - 1
    for y, reference in zip(found, expected, strict=True):
        assert y.shape == reference.shape and (y - reference).abs().max() <= 1e-5


@pytest.mark.parametrize("plan", REAL_PLANS)
def test_names_shapes_and_counts_are_the_published_ones(plan: str) -> None:
    with torch.device("meta"):
        network = build_network(config_of(REAL_PLANS[plan], 1, 3))
    stored = PUBLISHED["plans"][plan]
    names = as_checkpoint(network.state_dict())
    assert sum(p.numel() for p in network.parameters()) == stored["parameters"]
    assert (len(names), names_digest(names)) == (stored["names"], stored["digest"])


@pytest.mark.parametrize("plan", REAL_PLANS)
def test_the_published_table_is_that_of_the_package(plan: str, package: ModuleType) -> None:
    with torch.device("meta"):
        network = official(package, REAL_PLANS[plan], 1, 3)
    tensors = network.state_dict()
    assert PUBLISHED["plans"][plan] == {
        "parameters": sum(p.numel() for p in network.parameters()),
        "names": len(tensors),
        "digest": names_digest(tensors),
    }


@pytest.mark.parametrize("plan", REAL_PLANS)
def test_outputs_equal_those_of_the_package(plan: str, package: ModuleType) -> None:
    assert_same_outputs(package, narrowed(REAL_PLANS[plan]))


@settings(max_examples=12)
@given(data=st.data(), network=st.sampled_from(NETWORKS), axes=st.sampled_from([2, 3]), stages=st.integers(2, 4))
def test_outputs_equal_for_any_plan(package: ModuleType, data: st.DataObject, network: str, axes: int, stages: int) -> None:
    def each(values: st.SearchStrategy, count: int) -> list:
        return data.draw(st.lists(values, min_size=count, max_size=count))

    strides = [[1] * axes] + [each(st.sampled_from([1, 2]), axes) for _ in range(stages - 1)]
    kernels = [each(st.sampled_from([1, 3, 5]), axes) for _ in range(stages)]
    depths = "n_conv_per_stage" if network == "PlainConvUNet" else "n_blocks_per_stage"
    slope = data.draw(st.sampled_from([None, 0.2]))
    changes = {
        depths: each(st.integers(1, 2), stages),
        "n_conv_per_stage_decoder": each(st.integers(1, 2), stages - 1),
        "conv_bias": data.draw(st.booleans()),
        "norm_op_kwargs": {"eps": data.draw(st.sampled_from([1e-5, 1e-3])), "affine": data.draw(st.booleans())},
        "nonlin": "torch.nn.ReLU" if slope is None else "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True} if slope is None else {"negative_slope": slope},
        "dropout_op": data.draw(st.sampled_from([None, f"torch.nn.Dropout{axes}d"])),
        "dropout_op_kwargs": {"p": 0.5},
    }
    widths = each(st.sampled_from([2, 3, 4]), stages)
    assert_same_outputs(package, architecture(network, (strides, kernels), widths, **changes))


@pytest.mark.parametrize("network", NETWORKS)
def test_deep_supervision_gives_all_sizes_full_size_first(network: str) -> None:
    made = build_network(config_of(tiny_architecture(network), 1, 3)).eval()
    x = torch.randn(1, 1, 4, 8, 16)
    with torch.no_grad():
        alone = made(x)
        made.deep_supervision = True
        outputs = made(x)
    assert torch.equal(alone, outputs[0]) and [tuple(y.shape[2:]) for y in outputs] == [(4, 8, 16), (4, 4, 8)]
    assert list(decoder_stages(made)) == ["decoder.stages.0", "decoder.stages.1"]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_accelerated_path_passes_them_through(network: str) -> None:
    torch.manual_seed(0)
    made = build_network(config_of(tiny_architecture(network), 2, 3)).eval()
    fast = accelerate(made)
    x = torch.randn(2, 2, 4, 8, 16)
    with torch.no_grad():
        expected = made(x)
    assert isinstance(fast, PlainRunner) and (fast(x) - expected).abs().max() <= 1e-5
    made.deep_supervision = True
    assert [y.shape for y in accelerate(made)(x)] == [y.shape for y in made(x)]


@pytest.mark.parametrize("network", NETWORKS)
def test_second_names_are_dropped_where_they_agree(network: str) -> None:
    entry = tiny_architecture(network)
    tensors = build_network(config_of(entry, 1, 3)).state_dict()
    saved = as_checkpoint(tensors)
    wrapped = {f"module.{name}": tensor for name, tensor in saved.items()}
    loaded = network_from_state_dict(wrapped, entry)
    assert loaded.config == config_of(entry, 1, 3) and not loaded.training
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.state_dict().items())
    alias = next(name for name in saved if ".all_modules.1." in name)
    with pytest.raises(ValueError, match=r"one tensor with different values") as refusal:
        network_from_state_dict({**saved, alias: saved[alias] + 1}, entry)
    assert alias in str(refusal.value)


@pytest.mark.parametrize("network", NETWORKS)
def test_missing_and_unexpected_tensors_are_named(network: str) -> None:
    entry = tiny_architecture(network)
    tensors = build_network(config_of(entry, 1, 3)).state_dict()
    lost = "decoder.stages.0.convs.0.norm.bias"
    with pytest.raises(ValueError, match=rf"{lost} is missing; encoder\.extra is not expected"):
        network_from_state_dict({**{n: t for n, t in tensors.items() if n != lost}, "encoder.extra": torch.zeros(1)}, entry)
    with pytest.raises(ValueError, match=r"lack decoder\.seg_layers\.1\.weight"):
        network_from_state_dict({n: t for n, t in tensors.items() if "seg_layers.1" not in n}, entry)
    with pytest.raises(ValueError, match='copy the entry "architecture" of the plans'):
        network_from_state_dict(tensors)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features_per_stage": [4, 8, 10**9]}, r"transpconvs\.0"),
        ({"strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]]}, r"transpconvs\.1"),
        ({"n_conv_per_stage": [2, 2, 10**9]}, "more convolutions than the weights have"),
        ({"strides": [[2, 2, 2], [1, 2, 2], [2, 2, 2]]}, "first stage of a U-Net must keep the grid"),
        ({"kernel_sizes": [[2, 2, 2]] * 3}, "odd kernel sizes"),
        ({"kernel_sizes": [[3, 3, 3]] * 2}, "needs 3 kernel_sizes, got 2"),
        ({"features_per_stage": "many"}, "is not whole"),
        ({"n_conv_per_stage": None}, "is not whole"),
        ({"squeeze_excitation": True}, "squeeze_excitation = True"),
        ({"nonlin_first": True}, "nonlin_first = True"),
        ({"norm_op": "torch.nn.BatchNorm3d"}, "the norm BatchNorm3d"),
        ({"norm_op_kwargs": {"track_running_stats": True}}, "track_running_stats"),
        ({"nonlin": "os.system"}, "the activation system"),
        ({"conv_op": "torch.nn.Conv1d"}, "Conv1d"),
    ],
)
def test_odd_plans_are_one_sentence(changes: dict[str, Any], reason: str) -> None:
    tensors = build_network(config_of(tiny_architecture("PlainConvUNet"), 1, 3)).state_dict()
    with pytest.raises(ValueError, match=reason) as refusal:
        network_from_state_dict(tensors, tiny_architecture("PlainConvUNet", **changes))
    assert "\n" not in str(refusal.value)


def test_blocks_of_another_kind_and_other_networks_are_refused_by_name() -> None:
    tensors = build_network(config_of(tiny_architecture("ResidualEncoderUNet"), 1, 3)).state_dict()
    bottleneck = "dynamic_network_architectures.building_blocks.residual.BottleneckD"
    with pytest.raises(ValueError, match="BottleneckD, which is not supported"):
        network_from_state_dict(tensors, tiny_architecture("ResidualEncoderUNet", block=bottleneck))
    with pytest.raises(ValueError, match="describe the network PlainConvUNet, but the weights are of a ResidualEncoderUNet"):
        network_from_state_dict(tensors, tiny_architecture("PlainConvUNet"))


def test_an_input_of_the_wrong_size_is_refused_in_one_sentence() -> None:
    network = build_network(config_of(tiny_architecture("PlainConvUNet"), 1, 3))
    with pytest.raises(ValueError, match=r"\(batch, 1, K, J, I\) with axes divisible by \(2, 4, 4\), got \(1, 1, 4, 8, 10\)"):
        network(torch.zeros(1, 1, 4, 8, 10))
