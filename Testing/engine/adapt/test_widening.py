"""A wider MedNeXt begins with a narrow one's answers, and its copied channels learn different things."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.adapt.mednext.widening import widened
from mednextseg.adapt.starting_weights import start_with
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig, variant_config


def _network(config: MedNeXtConfig, seed: int) -> MedNeXt:
    torch.manual_seed(seed)
    return MedNeXt(config).double().eval()


@settings(max_examples=12, deadline=None)
@given(
    wide=st.integers(4, 11),
    ratio=st.integers(1, 4),
    dims=st.sampled_from((2, 3)),
    block_residual=st.booleans(),
    resampling_residual=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_wider_network_computes_the_same(wide, ratio, dims, block_residual, resampling_residual, seed):
    config = MedNeXtConfig(
        2,
        3,
        expansion_ratios=(1,) * 9,
        block_counts=(1,) * 9,
        base_channels=4,
        dims=dims,
        block_residual=block_residual,
        resampling_residual=resampling_residual,
    )
    narrow = _network(config, seed)
    network = _network(replace(config, base_channels=wide, expansion_ratios=(ratio,) * 9, down_ratios=(ratio,) * 4), seed + 1)
    start_with(network, widened(narrow.state_dict(), network, seed))
    image = torch.randn(1, 2, *(32,) * dims, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), narrow(image), rtol=1e-6, atol=1e-6)


def test_copies_learn_different_things():
    config = variant_config("S", 1, 2, base_channels=4)
    network = _network(replace(config, base_channels=8), 1)
    start_with(network, widened(_network(config, 0).state_dict(), network))
    network(torch.randn(1, 1, 32, 32, 32, dtype=torch.float64)).square().sum().backward()
    for name in ("enc_block_0.0.conv1.weight", "bottleneck.1.conv2.weight", "dec_block_0.0.norm.weight"):
        gradient = network.get_parameter(name).grad
        first, second = gradient.chunk(2)
        assert not torch.allclose(first, second, rtol=1e-3)


def test_what_fits_stays_as_it_is():
    network = _network(variant_config("S", 1, 2, base_channels=4), 0)
    kept = widened(network.state_dict(), network)
    assert all(torch.equal(kept[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("changes", [{"base_channels": 2}, {"block_counts": (3,) * 9}, {"kernel_size": 5}])
def test_what_cannot_be_widened_is_refused(changes):
    config = variant_config("S", 1, 2, base_channels=4)
    network = _network(replace(config, **changes), 1)
    with pytest.raises(ValueError, match="do not fit the MedNeXt"):
        start_with(network, widened(_network(config, 0).state_dict(), network))
