"""Our STU-Net is the official one, and is recognized by its tensors."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.models.loaded_model import load_model
from mednextseg.models.weights import network_from_state_dict, stu_net_config_of
from mednextseg.networks.stu_net import SIZES, STUNet, STUNetConfig, build_stu_net
from mednextseg.segment.windows.memory_plan import activation_bytes
from mednextseg.segment.windows.sliding_window import SlidingWindow

PUBLISHED_POOLS = ((2, 2, 2),) * 4 + ((1, 1, 2),)
# Parameters of the published networks: one channel, 104 structures and the background (table 1 of the paper, to 0.01 M).
MILLION_PARAMETERS = {"S": 14.60, "B": 58.26, "L": 440.30, "H": 1457.33}
TENSOR_COUNTS = {"S": 130, "B": 130, "L": 218, "H": 306}


@pytest.fixture(scope="module")
def golden_weights(golden: Path) -> ModuleType:
    sys.path.insert(0, str(golden))
    import golden_weights

    sys.path.remove(str(golden))
    return golden_weights


def tiny_stu_net(num_classes: int = 3, pool_sizes_kji: tuple = ((2, 2, 2),) * 4 + ((1, 1, 2),)) -> STUNet:
    torch.manual_seed(0)
    return STUNet(STUNetConfig(1, num_classes, widths=(2, 2, 3, 3, 4, 4), pool_sizes_kji=pool_sizes_kji)).eval()


def test_outputs_equal_the_official_networks(golden: Path, golden_weights: ModuleType) -> None:
    entry = json.loads((golden / "stunet" / "manifest.json").read_text())["cases"]["stunet_S"]
    arrays = golden_weights.fill(entry["tensors"])
    assert golden_weights.digest(arrays) == entry["weights_digest"]
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    network = build_stu_net("S", entry["in_channels"], entry["num_classes"], deep_supervision=True)
    network.load_state_dict(tensors, strict=True)
    stored = np.load(golden / entry["file"])
    with torch.no_grad():
        outputs = network.eval()(torch.from_numpy(stored["x"]))
    assert len(outputs) == 5 and network_from_state_dict(tensors).config == network.config
    for level, output in enumerate(outputs):
        difference = output.numpy() - stored[f"out_{level}"]
        tolerance = entry["outputs"][f"out_{level}"]
        assert np.abs(difference).max() <= tolerance["suggested_atol_max"]
        assert np.sqrt(np.mean(difference**2)) <= tolerance["suggested_atol_rms"]


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts_are_the_published_ones(size: str) -> None:
    with torch.device("meta"):
        network = build_stu_net(size, 1, 105, pool_sizes_kji=PUBLISHED_POOLS)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == MILLION_PARAMETERS[size]
    assert len(network.state_dict()) == TENSOR_COUNTS[size]


@settings(max_examples=20)
@given(
    depths=st.tuples(*[st.integers(1, 2)] * 6),
    widths=st.tuples(*[st.integers(1, 5)] * 6),
    kernels=st.tuples(*[st.sampled_from([(3, 3, 3), (1, 3, 3), (3, 3, 1)])] * 6),
    pools=st.tuples(*[st.sampled_from([(2, 2, 2), (1, 2, 2), (1, 1, 2)])] * 5),
)
def test_architecture_is_read_off_the_tensors(depths: tuple, widths: tuple, kernels: tuple, pools: tuple) -> None:
    config = STUNetConfig(2, 4, depths, widths, pools, kernels)
    network = STUNet(config)
    assert stu_net_config_of(network.state_dict(), pools) == config
    wrapped = {f"module._orig_mod.{name}": tensor for name, tensor in network.state_dict().items()}
    assert network_from_state_dict(wrapped, {"pool_sizes_kji": [list(pool) for pool in pools]}).config == config


def test_pooling_of_single_axes_keeps_the_grid() -> None:
    network = tiny_stu_net()
    assert network.config.size_divisor_kji == (16, 16, 32)
    x = torch.randn(1, 1, 32, 16, 64)
    with torch.no_grad():
        alone = network(x)
        network.deep_supervision = True
        outputs = network(x)
    assert alone.shape == (1, 3, 32, 16, 64) and torch.equal(alone, outputs[0])
    assert outputs[4].shape == (1, 3, 2, 1, 4)


def test_an_input_of_the_wrong_size_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"divisible by \(16, 16, 32\), got \(1, 1, 16, 16, 16\)"):
        tiny_stu_net()(torch.zeros(1, 1, 16, 16, 16))
    with pytest.raises(ValueError, match="unknown STU-Net size 'XL'"):
        build_stu_net("XL", 1, 2)
    with pytest.raises(ValueError, match="5 pool_sizes_kji, got 4"):
        tiny_stu_net(pool_sizes_kji=((2, 2, 2),) * 4)


def test_a_stu_net_package_keeps_its_pooling_and_plans_its_memory(tmp_path: Path) -> None:
    from tiny_models import write_package

    network = tiny_stu_net()
    architecture = {"pool_sizes_kji": [list(pool) for pool in network.config.pool_sizes_kji]}
    model = load_model(write_package(tmp_path / "stu", network, ("a", "b"), family="stu_net", architecture=architecture))
    x = torch.randn(1, 1, 32, 16, 64)
    with torch.no_grad():
        assert torch.allclose(model.network_loaders("cpu")[0]()(x), network(x), atol=1e-5)
    assert model.network_config == network.config
    assert activation_bytes(network.config, SlidingWindow((32, 16, 64))) > 0
