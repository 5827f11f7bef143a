"""The gradients of the training kernels are PyTorch's: every variant, every part, in double precision by finite differences too."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from mednextseg.kernels import trainable
from mednextseg.kernels.cpu.depthwise import phases_with_voxels, transposed_phases
from mednextseg.kernels.cpu.gradients import depthwise
from mednextseg.kernels.cpu.gradients.blocks import block, down_block, up_block
from mednextseg.kernels.cpu.gradients.network import TrainableMedNeXt
from mednextseg.networks.mednext import (
    VARIANTS,
    MedNeXt,
    MedNeXtBlock,
    MedNeXtConfig,
    MedNeXtDownBlock,
    MedNeXtUpBlock,
)

ROUNDING = 1e-4
LAYOUT = torch.channels_last_3d


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The networks here are so small that a second thread costs more than it computes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(**changes: object) -> MedNeXt:
    """With norms as after training: PyTorch starts them as the identity, which would hide mistakes."""
    torch.manual_seed(1)
    settings = {"in_channels": 2, "num_classes": 4, "base_channels": 4, "deep_supervision": True} | changes
    network = MedNeXt(MedNeXtConfig(**settings))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(run: object, module: nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
    """Of a random functional of the outputs, with respect to inputs and parameters.

    Without the bias in front of the norm: its gradient is zero, and what PyTorch returns for it is rounding.
    """
    inputs = [x.clone().requires_grad_() for x in inputs]
    module.zero_grad()
    outputs = run(*inputs)
    outputs = [outputs] if isinstance(outputs, Tensor) else outputs
    sum((y * random(*y.shape, seed=n).to(y.dtype)).sum() for n, y in enumerate(outputs)).backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}
    found |= {f"input {n}": x.grad for n, x in enumerate(inputs)}
    return {name: gradient.clone() for name, gradient in found.items() if not name.endswith("conv1.bias")}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], relative: float = ROUNDING) -> None:
    assert found.keys() == expected.keys()
    errors = {name: float((found[name] - e).norm() / e.norm()) for name, e in expected.items()}
    assert {name: error for name, error in errors.items() if error > relative} == {}


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_pytorchs_gradients(variant: str, kernel_size: int) -> None:
    # The norm of the deepest level sees four voxels: over two the gradient is ill-conditioned.
    network = small(kernel_size=kernel_size, **VARIANTS[variant])
    x = random(1, 2, 16, 32, 32)
    assert_same(gradients(TrainableMedNeXt(network), network, x), gradients(network, network, x))


def test_outputs_are_those_of_the_network() -> None:
    network, x = small(), random(2, 2, 32, 16, 48)
    for found, expected in zip(trainable(network)(x), network(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"block_residual": False, "resampling_residual": False}, {"deep_supervision": False}])
def test_batches_and_other_configurations_agree_to_the_last_digits_in_double_precision(changes: dict) -> None:
    network = small(block_counts=(1,) * 9, **changes).double()
    x = random(2, 2, 16, 32, 16).double()
    assert_same(gradients(TrainableMedNeXt(network), network, x), gradients(network, network, x), relative=1e-10)


CONFIG = MedNeXtConfig(1, 2)


@pytest.mark.parametrize(
    ("run", "module", "shapes"),
    [
        (block, MedNeXtBlock(CONFIG, 3, 2), [(1, 3, 3, 2, 4)]),
        (down_block, MedNeXtDownBlock(CONFIG, 2, 2), [(1, 2, 4, 6, 2)]),
        (up_block, MedNeXtUpBlock(CONFIG, 4, 2), [(1, 4, 2, 3, 1), (1, 2, 4, 6, 2)]),
    ],
    ids=["block", "down", "up"],
)
def test_blocks_pass_the_check_by_finite_differences(run: object, module: nn.Module, shapes: list[tuple]) -> None:
    module = copy.deepcopy(module).double()
    inputs = [random(*shape, seed=n).double().requires_grad_() for n, shape in enumerate(shapes)]
    weights = [weight for name, weight in module.named_parameters() if name != "conv1.bias"]
    # The weights reach the function as the module's parameters; gradcheck changes them in place.
    assert torch.autograd.gradcheck(lambda *tensors: run(module, *tensors[: len(inputs)]), (*inputs, *weights), fast_mode=True)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("grid", [(2, 2, 2), (4, 8, 6), (10, 2, 4)])
def test_depthwise_gradients_are_exact_on_small_grids(kernel: int, stride: int, grid: tuple[int, int, int]) -> None:
    conv = nn.Conv3d(5, 5, kernel, stride, kernel // 2, groups=5, bias=False).double()
    x = random(1, 5, *grid).double().requires_grad_()
    y = conv(x)
    g = random(*y.shape, seed=1).double()
    expected = torch.autograd.grad(y, (x, conv.weight), g)
    input_gradient = depthwise.plain_input_gradient if stride == 1 else depthwise.strided_input_gradient
    torch.testing.assert_close(input_gradient(g, conv.weight), expected[0])
    torch.testing.assert_close(depthwise.plain_weight_gradient(x.detach(), g, kernel, stride), expected[1])


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("grid", [(1, 2, 3), (4, 3, 2)])
def test_transposed_depthwise_gradients_are_exact_on_small_grids(kernel: int, grid: tuple[int, int, int]) -> None:
    conv = nn.ConvTranspose3d(5, 5, kernel, 2, kernel // 2, groups=5, bias=False).double()
    x = random(1, 5, *grid).double().requires_grad_()
    y = conv(x)
    g = random(*y.shape, seed=1).double()
    expected = torch.autograd.grad(y, (x, conv.weight), g)
    phases = phases_with_voxels(transposed_phases(conv.weight, torch.float64), grid)
    parts = {
        phase.parity_kji: g[(..., *(slice(p, None, 2) for p in phase.parity_kji))].contiguous(memory_format=LAYOUT)
        for phase in phases
    }
    torch.testing.assert_close(depthwise.transposed_input_gradient(parts, phases), expected[0])
    torch.testing.assert_close(depthwise.transposed_weight_gradient(x.detach(), parts, kernel), expected[1])


@pytest.mark.parametrize("offset", [0.0, 30.0, 1000.0])
def test_channels_that_hardly_vary_about_a_large_mean_lose_nothing(offset: float) -> None:
    module = MedNeXtBlock(CONFIG, 4, 2)
    with torch.no_grad():
        module.conv1.bias.fill_(offset)
    x, reference = random(1, 4, 8, 8, 8), copy.deepcopy(module).double()
    expected = gradients(reference, reference, x.double())
    found = gradients(lambda x: block(module, x), module, x)
    assert_same({name: gradient.double() for name, gradient in found.items()}, expected)
    assert not module.conv1.bias.grad.any()


def test_the_kernels_keep_less_for_the_backward_pass_than_pytorch() -> None:
    network, x = small(base_channels=8), random(1, 2, 32, 32, 32)

    def kept(run: object) -> int:
        storages = {}

        def remember(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            outputs = run(x)
        del outputs
        return sum(storages.values())

    assert kept(TrainableMedNeXt(network)) < 0.6 * kept(network)


def test_what_the_kernels_do_not_know_trains_as_it_is() -> None:
    other = [small(global_response_norm=True), small(dims=2), nn.Conv3d(1, 1, 1)]
    assert all(trainable(module) is module for module in other)
    network = small()
    assert isinstance(trainable(network), TrainableMedNeXt)
    network.stem.register_forward_hook(lambda *arguments: None)
    assert trainable(network) is network


def test_an_optimizer_step_reaches_the_next_call() -> None:
    network, x = small(deep_supervision=False), random(1, 2, 16, 16, 32)
    run = trainable(network)
    optimizer = torch.optim.SGD(network.parameters(), 1e-2)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = run(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
