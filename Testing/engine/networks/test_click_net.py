"""ClickNet: its size, its shapes, and what its inputs are."""

import pytest
import torch

from mednextseg.networks.click_net import CHANNELS, STRIDE, build_click_net


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_click_net().eval()


def test_the_default_network_has_at_most_five_million_parameters(network):
    assert sum(p.numel() for p in network.parameters()) <= 5_000_000


@pytest.mark.parametrize(("height", "width"), [(128, 128), (16, 48), (256, 128)])
def test_the_logits_have_the_size_of_the_input(network, height, width):
    with torch.inference_mode():
        logits, quality = network(torch.zeros(2, len(CHANNELS), height, width))
    assert logits.shape == (2, 1, height, width)
    assert quality.shape == (2, 1)


def test_every_channel_changes_the_answer(network):
    torch.manual_seed(1)
    x = torch.rand(1, len(CHANNELS), 4 * STRIDE, 4 * STRIDE)
    with torch.inference_mode():
        reference = network(x)[0]
        for channel in range(len(CHANNELS)):
            other = x.clone()
            other[:, channel] = 0
            assert (network(other)[0] - reference).abs().max() > 1e-5, CHANNELS[channel]


def test_a_shift_by_the_stride_shifts_the_answer():
    # Group normalization sees the whole slice, so the borders are given by a wide frame of zeros.
    torch.manual_seed(0)
    network = build_click_net((8, 8, 8, 8), 1).double().eval()
    x = torch.zeros(1, len(CHANNELS), 320, 320, dtype=torch.float64)
    x[..., 144:176, 144:176] = torch.rand(1, len(CHANNELS), 32, 32)
    with torch.inference_mode():
        here, there = network(x)[0], network(x.roll(STRIDE, dims=-1))[0]
    inner = slice(112, 208)
    assert torch.allclose(here[..., inner, inner], there.roll(-STRIDE, dims=-1)[..., inner, inner], atol=1e-6)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    network = build_click_net((8, 16, 16, 16), 1)
    logits, quality = network(torch.randn(2, len(CHANNELS), 32, 32))
    (logits.square().mean() + quality.square().mean()).backward()
    # The first convolutions of a block wait for its last norm, whose weight starts at zero, to leave zero.
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert not without
