"""What stands between the stages of a network: unchanged answers at first, exact gradients, formulas of the papers."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mednextseg.kernels import accelerate, trainable
from mednextseg.kernels.cpu.engine import MedNeXtEngine
from mednextseg.kernels.cpu.gradients.network import TrainableMedNeXt
from mednextseg.models.new_head import with_classes
from mednextseg.models.weights import network_from_state_dict
from mednextseg.networks.forward_cost import multiply_adds
from mednextseg.networks.forward_memory import shapes_only
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.networks.plug_ins import plug_in_configs
from mednextseg.networks.plug_ins.adapters import Adapter, AdaptersConfig, FrequencyBranch
from mednextseg.networks.plug_ins.class_attention import ClassAttentionConfig, class_means
from mednextseg.networks.plug_ins.misclassified import Misclassified
from mednextseg.networks.plug_ins.plug_in import FOR_TRAINING, Sites
from mednextseg.networks.plug_ins.shape_priors import ShapePriors, ShapePriorsConfig

TINY = MedNeXtConfig(2, 3, block_counts=(1,) * 9, base_channels=4)
SITES = Sites(2, 3, (4, 8, 16, 32, 64))
# A bias in front of a norm has the gradient zero, and what PyTorch returns for it is rounding.
BEFORE_NORMS = ("conv1.bias", "small.0.bias", "small.1.bias", "large.0.bias", "large.1.bias")
KINDS = (AdaptersConfig(reduction=2, frequencies=8), ShapePriorsConfig((1, 1, 2)), ClassAttentionConfig())


def awake(network: MedNeXt, seed: int = 0) -> MedNeXt:
    """Every weight of the plug-ins moved, as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.plug_ins.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def plugged(*configs: AdaptersConfig, **changes: object) -> tuple[MedNeXt, MedNeXt]:
    """A network, and the same with plug-ins."""
    torch.manual_seed(3)
    plain = MedNeXt(replace(TINY, **changes))
    network = MedNeXt(replace(TINY, plug_ins=configs, **changes))
    network.load_state_dict({**network.state_dict(), **plain.state_dict()})
    return plain, network


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.kind)
def test_a_new_plug_in_changes_nothing_on_any_path(config: AdaptersConfig) -> None:
    plain, network = plugged(config)
    x = torch.randn(1, 2, 16, 32, 16)
    with torch.no_grad():
        assert torch.equal(network(x), plain(x))
    torch.testing.assert_close(accelerate(network)(x), accelerate(plain)(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.kind)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_fast_kernels_give_the_answers_and_gradients_of_the_plain_network(config: AdaptersConfig, seed: int) -> None:
    network = awake(plugged(config, deep_supervision=bool(seed % 2))[1], seed)
    x = torch.randn(2, 2, 16, 16, 32, generator=torch.Generator().manual_seed(seed))
    codes = torch.randint(0, 3, (2, 16, 16, 32), generator=torch.Generator().manual_seed(seed))
    assert isinstance(trainable(network), TrainableMedNeXt) and isinstance(accelerate(network), MedNeXtEngine)

    def gradients(run: object) -> dict[str, Tensor]:
        network.zero_grad()
        outputs = run(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        cost = sum((output * output.detach().roll(1, 2)).mean() for output in outputs)
        (cost + network.plug_ins.extra_loss(outputs[0], codes)).backward()
        return {
            name: parameter.grad.clone()
            for name, parameter in network.named_parameters()
            if parameter.grad is not None and not name.endswith(BEFORE_NORMS)
        }

    network.double()
    x = x.double()
    plain, fast = gradients(network), gradients(TrainableMedNeXt(network))
    assert plain.keys() == fast.keys() and any(name.startswith("plug_ins") for name in plain)
    for name, expected in plain.items():
        assert float((fast[name] - expected).norm()) <= 1e-4 * float(expected.norm()) + 1e-12, name
    network.float()
    found, expected = accelerate(network)(x.float()), network.eval()(x.float())
    for a, b in zip(*((o if isinstance(o, list) else [o]) for o in (found, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_memory_and_arithmetic_are_known_before_a_run() -> None:
    config = plugged(*KINDS)[1].config
    assert multiply_adds(lambda: MedNeXt(config), (1, 2, 16, 32, 16)) > multiply_adds(lambda: MedNeXt(TINY), (1, 2, 16, 32, 16))


def test_a_state_dict_and_the_card_give_the_network_back() -> None:
    network = awake(plugged(*KINDS)[1])
    architecture = {"plug_ins": [vars(config) for config in KINDS]}
    again = network_from_state_dict(network.state_dict(), architecture)
    assert again.config == network.config
    with pytest.raises(ValueError, match="is not expected"):
        network_from_state_dict(network.state_dict(), {})


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ([{"kind": "magic"}], "the kind of a plug-in must be one of adapters"),
        ([{"kind": "adapters", "depth": 3}], "a plug-in has no field depth"),
        ([{"kind": "adapters"}, {"kind": "adapters"}], "lists a kind twice"),
        ([{"kind": "adapters", "reduction": 0}], "reduction of adapters"),
        ({"kind": "adapters"}, "plug_ins"),
    ],
)
def test_a_card_that_asks_for_something_else_is_refused(raw: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        plug_in_configs(raw)


def test_the_frequency_branch_is_the_papers_formula_at_its_own_depth_and_takes_any_other() -> None:
    branch = FrequencyBranch(6).double()
    with torch.no_grad():
        branch.weight.uniform_(0.5, 2)
        branch.bias.uniform_(-1, 1)
    x = torch.randn(1, 2, 6, 5, 4).double()
    weight, bias = (p.detach().numpy()[:, None, None] for p in (branch.weight, branch.bias))
    expected = np.abs(np.fft.ifftn(weight * np.fft.fftn(x.numpy(), axes=(2, 3, 4)) + bias, axes=(2, 3, 4)))
    np.testing.assert_allclose(branch(x).detach().numpy(), expected, atol=1e-10)
    torch.testing.assert_close(FrequencyBranch(32)(x.float()), x.float().abs())  # at first: no peak in the first voxel
    assert all(branch(torch.randn(1, 1, depth, 4, 4).double()).isfinite().all() for depth in (1, 5, 12, 48))


def test_an_adapter_has_the_weights_of_the_formula_and_a_network_less_than_a_twentieth() -> None:
    channels, before, hidden = 64, 4, 8
    branches = 9 * hidden + 3 * hidden + 25 * hidden + 5 * hidden + 8 * hidden  # two convolutions, their biases, a norm; twice
    expected = 2 * channels * hidden + hidden + channels + branches + 2 * 32 + hidden * hidden + hidden
    expected += 9 * before * hidden + hidden + 2 * hidden * hidden + hidden
    assert sum(p.numel() for p in Adapter(channels, before, AdaptersConfig()).parameters()) == expected
    with torch.device("meta"):
        network = MedNeXt(MedNeXtConfig(1, 3, plug_ins=(AdaptersConfig(),)))
    added = sum(p.numel() for p in network.plug_ins.parameters())
    assert added <= 0.05 * (sum(p.numel() for p in network.parameters()) - added)


def contrast(anchor: Tensor, wrong: int = 1) -> float:
    """Of a volume in which voxels of class 1 with the features `anchor` are taken for class 0; found ones have (1, 0), class 0 (0, 1)."""
    head = Misclassified(SITES).train()
    head.embed = torch.nn.Identity()
    features, logits, codes = torch.zeros(1, 2, 1, 1, 8), torch.zeros(1, 3, 1, 1, 8), torch.zeros(1, 1, 1, 8, dtype=torch.long)
    codes[..., 4:], logits[:, 0] = 1, 9.0
    features[:, 1, ..., :4], features[:, 0, ..., 4:] = 1, 1
    logits[:, 1, ..., 4 + wrong :] = 99.0
    features[0, :, 0, 0, 4 : 4 + wrong] = anchor[:, None]
    features.requires_grad_()
    head.after("dec_block_0", features, {})
    loss = head.extra_loss(logits, codes)
    if loss is None:
        return 0.0
    loss.backward()
    touched = features.grad[0].abs().sum(0).flatten().nonzero()[:, 0].tolist()
    assert touched in (list(range(4, 4 + wrong)), [])  # anchors alone learn
    if anchor[1] == 0:  # where it belongs; with the norm left alone, a step leads past it
        return float(loss.detach())
    step = (features - 0.1 * features.grad).detach()[0, :, 0, 0, 4]
    before = anchor / anchor.norm()
    assert step[0] / step.norm() >= before[0] - 1e-6 and step[1] / step.norm() <= before[1] + 1e-6
    return float(loss.detach())


def test_misclassified_voxels_cost_more_the_nearer_they_are_to_the_wrong_class() -> None:
    right, middle, wrong = (contrast(torch.tensor(at)) for at in ((1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    expected = [1.3 * np.log1p(np.exp(far - near)) for near, far in ((1, 0), (0.5**0.5, 0.5**0.5), (0, 1))]
    np.testing.assert_allclose([right, middle, wrong], expected, rtol=1e-5)
    assert right < middle < wrong
    assert contrast(torch.tensor((1.0, 1.0)), wrong=3) == pytest.approx(middle)  # however many there are
    assert (
        contrast(torch.tensor((1.0, 1.0)), wrong=0) == 0 == contrast(torch.tensor((1.0, 1.0)), wrong=4)
    )  # none, or none found


def test_what_serves_training_has_the_same_gradients_on_fast_kernels_and_keeps_nothing() -> None:
    _, network = plugged()
    network.plug_ins[FOR_TRAINING] = Misclassified(SITES)
    network.double()
    x, codes = torch.randn(2, 2, 16, 16, 16).double(), torch.randint(0, 4, (2, 16, 16, 16))
    found = []
    for run in (network, TrainableMedNeXt(network)):
        network.zero_grad()
        network.plug_ins.extra_loss(run(x), codes).backward()
        found.append({n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None and "conv1.bias" not in n})
    assert found[0].keys() == found[1].keys() and found[0]["stem.weight"].abs().max() > 0
    for name, expected in found[0].items():
        assert float((found[1][name] - expected).norm()) <= 1e-4 * float(expected.norm()) + 1e-12, name
    network.eval()(x)
    copy.deepcopy(network)  # nothing of a pass is left in it


def test_priors_do_not_depend_on_the_order_of_the_classes_and_learn() -> None:
    torch.manual_seed(0)
    priors = ShapePriors(ShapePriorsConfig((1, 2, 2)), SITES)
    for parameter in priors.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    other, order = copy.deepcopy(priors), torch.tensor([2, 0, 1])
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if "pairs" in name:
                parameter.copy_(parameter[:, order][:, :, order])
            elif "to_classes" in name or name == "priors":
                parameter.copy_(parameter[order])
    skips = [torch.randn(2, width, *(n // 2**level for n in (16, 16, 32))) for level, width in enumerate(SITES.widths[:4])]
    found, again = priors.skips(skips, {}), other.skips(skips, {})
    assert found[0] is skips[0]
    for a, b in zip(found[1:], again[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    found[1].square().mean().backward()
    assert priors.priors.grad.abs().max() > 0 and priors.maps().shape == (3, 1, 2, 2)


def test_a_skip_gets_the_priors_that_its_channels_are_like() -> None:
    torch.manual_seed(0)
    update = ShapePriors(ShapePriorsConfig((2, 4, 4)), SITES).skip_3
    update.blocks, update.norm = torch.nn.ModuleList(), torch.nn.Identity()
    update.gate.data.fill_(1.0)
    skip, state = torch.randn(1, 32, 2, 4, 4), torch.randn(1, 3, 32)
    found, onward = (result.detach() for result in update(skip, state, (2, 4, 4)))
    features, maps = skip[0].flatten(1).numpy(), state[0].numpy()
    likeness = np.exp(features @ maps.T / np.sqrt(3 * 32))  # classes times voxels
    expected = features + likeness / likeness.sum(axis=1, keepdims=True) @ maps
    np.testing.assert_allclose(found[0].flatten(1).numpy(), expected, atol=1e-5)
    torch.testing.assert_close(onward, state + update.to_classes(found).detach().flatten(2))


def test_windows_of_other_sizes_take_the_same_priors() -> None:
    network = shapes_only(lambda: MedNeXt(replace(TINY, plug_ins=(ShapePriorsConfig((6, 6, 6)),))))
    for size in (96, 128):
        assert network(torch.empty(1, 2, size, size, size, device="meta")).shape == (1, 3, size, size, size)


def test_attention_adds_the_mean_of_the_class_and_absent_classes_add_nothing() -> None:
    masks = torch.nn.functional.one_hot(torch.tensor([[0, 0, 2, 2, 2]]), 3).float()
    constant = torch.tensor([[[1.0, 1.0, 4.0, 4.0, 4.0], [2.0, 2.0, -1.0, -1.0, -1.0]]])
    torch.testing.assert_close(constant + class_means(constant, masks), 2 * constant)
    features = torch.randn(1, 2, 5)
    inside = torch.tensor([1, 0, 3, 4, 2])  # voxels of a class change places
    torch.testing.assert_close(class_means(features[..., inside], masks), class_means(features, masks))
    assert class_means(features, masks).isfinite().all()


def test_a_network_with_plug_ins_can_get_other_labels() -> None:
    network = awake(plugged(*KINDS)[1])
    other = with_classes(network, (0, 2, None, 1))
    old, new = network.plug_ins["shape_priors"], other.plug_ins["shape_priors"]
    assert torch.equal(new.priors[[0, 1, 3]], old.priors[[0, 2, 1]])
    pairs = new.skip_1.blocks[0].pairs
    assert torch.equal(pairs[:, [0, 1, 3]][:, :, [0, 1, 3]], old.skip_1.blocks[0].pairs[:, [0, 2, 1]][:, :, [0, 2, 1]])
    assert torch.equal(other.plug_ins["adapters"].bottleneck.down.weight, network.plug_ins["adapters"].bottleneck.down.weight)
