"""Operators without a public name: none is used untested, and the network is the same where all of them are missing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mednextseg import kernels
from mednextseg.kernels import accelerate
from mednextseg.kernels.cpu import pointwise, statistics
from mednextseg.kernels.cpu.engine import MedNeXtEngine
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

# Name -> the question that is asked before its first use.
PROBES = {
    "torch.ops.mkldnn._linear_pointwise": pointwise.onednn_linear_works,
    "torch.batch_norm_update_stats": statistics._has_fused_statistics,
}


def names_of_torch(tree: ast.AST) -> Iterator[str]:
    """Dotted names that begin with torch."""
    for node in ast.walk(tree):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if name.startswith("torch.") and name.replace(".", "").replace("_", "").isalnum():
            yield name


def test_the_kernels_use_no_private_operator_but_those_that_are_tried_first() -> None:
    folder = Path(kernels.__file__).parent
    for file in folder.glob("*.py"):
        for name in names_of_torch(ast.parse(file.read_text(encoding="utf-8"))):
            parts = name.split(".")[1:]
            is_private = parts[0] == "ops" or any(part.startswith("_") and not part.endswith("__") for part in parts)
            covered = any(probed.startswith(name) for probed in PROBES)  # torch.ops is part of torch.ops.mkldnn...
            assert not is_private or covered, f"{name} in {file.name} has no test at its start and no replacement"


@pytest.fixture
def without_private_operators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a PyTorch that has none of them; what was found out before is forgotten, and found out again afterwards."""

    class Missing:
        def __getattr__(self, name: str) -> object:
            raise AttributeError(name)

    def forget() -> None:
        for probe in PROBES.values():
            probe.cache_clear()

    monkeypatch.setattr(torch.ops, "mkldnn", Missing())
    monkeypatch.delattr(torch, "batch_norm_update_stats")
    forget()
    yield
    forget()


@pytest.mark.usefixtures("without_private_operators")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_the_network_is_the_same_where_all_of_them_are_missing(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    network = MedNeXt(MedNeXtConfig(2, 4, base_channels=8, block_counts=(1,) * 9)).eval()
    x: Tensor = torch.randn(1, 2, 32, 16, 32)
    fast = accelerate(network, dtype=dtype)
    assert isinstance(fast, MedNeXtEngine)
    with torch.no_grad():
        expected = network(x)
    assert (fast(x) - expected).abs().max() <= tolerance * expected.abs().max()
    assert not pointwise.onednn_linear_works(dtype)
    assert not statistics._has_fused_statistics()
