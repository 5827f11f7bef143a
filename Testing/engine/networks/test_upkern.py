"""UpKern enlarges kernels as the official program does, and touches nothing else."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig, build_mednext
from mednextseg.networks.upkern import upkern

CASE = "mednext_S_upkern_k3_to_k5"


@pytest.fixture(scope="module")
def golden_weights(golden: Path) -> ModuleType:
    sys.path.insert(0, str(golden))
    import golden_weights

    sys.path.remove(str(golden))
    return golden_weights


def small_network(kernel_size: int, num_classes: int = 2, dims: int = 3) -> MedNeXt:
    torch.manual_seed(kernel_size)
    config = MedNeXtConfig(1, num_classes, kernel_size, block_counts=(1,) * 9, base_channels=4, dims=dims)
    return MedNeXt(config).eval()


def test_enlarged_weights_give_the_official_output(golden: Path, golden_weights: ModuleType) -> None:
    entry = json.loads((golden / "mednext" / "manifest.json").read_text())["cases"][CASE]
    shapes = {**entry["tensors"], **entry["upkern"]["from_tensors_differing"]}
    small = golden_weights.fill(shapes)
    assert golden_weights.digest(small) == entry["upkern"]["from_weights_digest"]
    network = build_mednext("S", 5, entry["in_channels"], entry["num_classes"])
    state = upkern({name: torch.from_numpy(array) for name, array in small.items()}, network)
    network.load_state_dict(state, strict=True)
    stored = np.load(golden / entry["file"])
    for name in (key for key in stored if key.startswith("kernel5/")):
        np.testing.assert_allclose(state[name.removeprefix("kernel5/")].numpy(), stored[name], atol=1e-6)
    with torch.no_grad():
        difference = network.eval()(torch.from_numpy(stored["x"])).numpy() - stored["out_0"]
    tolerance = entry["outputs"]["out_0"]
    assert np.abs(difference).max() <= tolerance["suggested_atol_max"]
    assert np.sqrt(np.mean(difference**2)) <= tolerance["suggested_atol_rms"]


@pytest.mark.parametrize("dims", [2, 3])
def test_only_kernels_change_and_the_result_loads_strictly(dims: int) -> None:
    small, large = small_network(3, dims=dims), small_network(5, dims=dims)
    before = {name: tensor.clone() for name, tensor in large.state_dict().items()}
    state = upkern(small.state_dict(), large)
    assert all(torch.equal(tensor, before[name]) for name, tensor in large.state_dict().items())
    for name, tensor in small.state_dict().items():
        if tensor.shape == state[name].shape:
            assert torch.equal(tensor, state[name])
        else:
            assert name.endswith("conv1.weight") and state[name].shape == before[name].shape
    large.load_state_dict(state, strict=True)


def test_equal_kernels_are_copied_not_shared() -> None:
    small = small_network(3)
    state = upkern(small.state_dict(), small_network(3))
    assert all(torch.equal(state[name], tensor) for name, tensor in small.state_dict().items())
    state["stem.weight"].zero_()
    assert small.stem.weight.abs().sum() > 0


@given(
    value=st.floats(-4, 4, allow_nan=False),
    kernels=st.sampled_from([(3, 5), (3, 7), (5, 7), (3, 3)]),
    axis=st.integers(0, 2),
    seed=st.integers(0, 2**16),
)
def test_enlarging_keeps_constants_range_and_mirror_symmetry(
    value: float, kernels: tuple[int, int], axis: int, seed: int
) -> None:
    conv = {k: torch.nn.Conv3d(2, 2, k, padding=k // 2, groups=2) for k in kernels}
    small, large = kernels
    constant = {"weight": torch.full((2, 1, small, small, small), value), "bias": torch.ones(2)}
    torch.testing.assert_close(upkern(constant, conv[large])["weight"], torch.full((2, 1, large, large, large), value))
    random = torch.randn(2, 1, small, small, small, generator=torch.Generator().manual_seed(seed))
    enlarged = upkern({"weight": random}, conv[large])["weight"]
    assert enlarged.min() >= random.min() - 1e-6 and enlarged.max() <= random.max() + 1e-6
    mirrored = upkern({"weight": random.flip(axis + 2)}, conv[large])["weight"]
    torch.testing.assert_close(mirrored, enlarged.flip(axis + 2))


def test_a_center_weight_becomes_a_separable_tent() -> None:
    small = torch.zeros(1, 1, 3, 3, 3)
    small[0, 0, 1, 1, 1] = 1
    tent = torch.tensor([0, 0.4, 1, 0.4, 0])
    expected = torch.einsum("k,j,i->kji", tent, tent, tent)
    torch.testing.assert_close(upkern({"weight": small}, torch.nn.Conv3d(1, 1, 5))["weight"][0, 0], expected)


def test_the_enlarged_network_still_sees_what_the_small_one_saw() -> None:
    """On smooth images a depthwise convolution and its enlarged one respond alike, up to the scale that the norm removes."""
    small, large = small_network(3), small_network(5)
    large.load_state_dict(upkern(small.state_dict(), large))
    x = F.interpolate(torch.randn(1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(0)), size=(32,) * 3, mode="trilinear")
    with torch.no_grad():
        responses = [network.enc_block_0[0].norm(network.enc_block_0[0].conv1(x)) for network in (small, large)]
    for channel in range(4):
        correlation = np.corrcoef([response[0, channel, 3:-3, 3:-3, 3:-3].flatten().numpy() for response in responses])[0, 1]
        assert correlation > 0


def test_tensors_that_the_small_network_lacks_keep_the_large_ones_values() -> None:
    small, large = small_network(3, num_classes=2), small_network(5, num_classes=4)
    trunk = {name: tensor for name, tensor in small.state_dict().items() if not name.startswith("out_0")}
    state = upkern(trunk, large)
    assert torch.equal(state["out_0.conv_out.weight"], large.out_0.conv_out.weight)


def test_other_channels_or_foreign_tensors_are_refused_in_one_sentence() -> None:
    small, large = small_network(3, num_classes=2), small_network(5, num_classes=4)
    with pytest.raises(ValueError, match=r"out_0\.conv_out\.weight has shape \(4, 2, 1, 1, 1\)"):
        upkern(small.state_dict(), large)
    with pytest.raises(ValueError, match="has no decoder"):
        upkern({"decoder": torch.zeros(1)}, large)
