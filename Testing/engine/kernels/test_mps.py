"""Apple's graphics chips (MPS) run the networks as they are: every operator of a forward pass exists there.

Source of what exists: native_functions.yaml, the table from which PyTorch generates its dispatcher, as it comes with the installed
version. One limit is not in that table: transposed 3D convolutions take float32 only, and none at all before PyTorch 2.8
(pytorch/pytorch pull request 154696 and issue 160739). So the plain path refuses other types.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
import torchgen
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mednextseg.kernels import accelerate
from mednextseg.kernels.mps import support as mps_support
from mednextseg.kernels.mps.support import verified_runner
from mednextseg.kernels.plain import PlainRunner
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.networks.stu_net import build_stu_net

_TABLE = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
# Kernels registered under these keys serve MPS: its own, and those written in terms of other operators.
_KEYS = {"MPS", "CompositeImplicitAutograd", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional"}


class OperatorList(TorchDispatchMode):
    """Collects the names of all operators that run, such as "gelu" and "add.Tensor"."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        self.names.add(operator.name().removeprefix("aten::"))
        return operator(*arguments, **(keywords or {}))


@cache
def operators_of_mps() -> frozenset[str]:
    """Names of the operators that have a kernel for MPS."""
    keys: dict[str, set[str]] = {}
    delegates: dict[str, str] = {}
    for entry in _TABLE.read_text().split("\n- func: ")[1:]:
        name, in_dispatch = entry.split("(", 1)[0], False
        keys[name] = set()
        for line in entry.splitlines()[1:]:
            if line.startswith("  structured_delegate:"):
                delegates[name] = line.split(":", 1)[1].strip()
            elif in_dispatch and line.startswith("    ") and not line.strip().startswith("#"):
                keys[name].update(key.strip() for key in line.split(":", 1)[0].split(","))
            else:
                in_dispatch = line.startswith("  dispatch:")
                keys[name].update({"its dispatch"} if in_dispatch else ())
    # Without a table of kernels, an operator is one function for all devices.
    implicit = {name for name, found in keys.items() if not found and name not in delegates}
    own = {name for name, found in keys.items() if found & _KEYS} | implicit
    return frozenset(own | {name for name, delegate in delegates.items() if delegate in own})


def test_the_table_tells_operators_with_and_without_a_kernel() -> None:
    known = operators_of_mps()
    assert {"gelu", "native_group_norm", "convolution", "_mps_convolution", "_mps_convolution_transpose"} <= known
    assert not {"slow_conv3d_forward", "_mkldnn_transpose", "conv_depthwise3d"} & known


NETWORKS = {
    "3d": lambda: MedNeXt(MedNeXtConfig(1, 2, base_channels=4, block_counts=(1,) * 9)),
    "2d": lambda: MedNeXt(MedNeXtConfig(1, 2, base_channels=4, block_counts=(1,) * 9, dims=2)),
    "grn": lambda: MedNeXt(MedNeXtConfig(1, 2, base_channels=4, block_counts=(1,) * 9, global_response_norm=True)),
    "stu_net": lambda: build_stu_net("S", 1, 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_a_forward_pass_exists_on_mps(name: str) -> None:
    network: nn.Module = NETWORKS[name]()
    run = PlainRunner(network, torch.device("cpu"), torch.float32)
    grid = (32, 64) if name == "2d" else (32, 32, 64)
    with OperatorList() as used:
        run(torch.zeros(1, 1, *grid))
    assert "convolution" in used.names
    assert used.names - operators_of_mps() == set()


def test_mps_computes_in_single_precision_only() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=r"on mps; choose one of torch\.float32\."):
            accelerate(NETWORKS["3d"](), "mps", dtype)


class WrongIn(PlainRunner):
    """A device that computes wrongly in some memory formats, as several versions of PyTorch and macOS do."""

    formats: tuple[torch.memory_format, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x) * (1.1 if self.memory_format in self.formats else 1)


@pytest.mark.parametrize("name", ["3d", "2d"])
def test_the_first_memory_format_that_is_right_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS[name]().eval()
    last = torch.channels_last if name == "2d" else torch.channels_last_3d
    monkeypatch.setattr(mps_support, "PlainRunner", WrongIn)
    assert verified_runner(network, torch.device("cpu")).memory_format == torch.contiguous_format
    monkeypatch.setattr(WrongIn, "formats", (torch.contiguous_format,))
    assert verified_runner(network, torch.device("cpu")).memory_format == last
    monkeypatch.setattr(WrongIn, "formats", (torch.contiguous_format, last))
    with pytest.raises(RuntimeError, match=r"relative error 1\.0e-01.*choose the processor"):
        verified_runner(network, torch.device("cpu"))


def test_a_device_that_lacks_an_operator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(self: PlainRunner, x: Tensor) -> Tensor:
        raise RuntimeError("ConvTranspose 3D is not supported on MPS")

    monkeypatch.setattr(PlainRunner, "__call__", lacking)
    with pytest.raises(RuntimeError, match=r"ConvTranspose 3D is not supported on MPS.*choose the processor"):
        verified_runner(NETWORKS["3d"](), torch.device("cpu"))
