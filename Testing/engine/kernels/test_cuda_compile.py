"""The Triton kernels compile for real cards and fit into them, although there is none here: Triton brings NVIDIA's assembler along.

In a process of its own, because the other tests have Triton interpret its kernels. There every launch of some blocks, with the very
arguments and constants that a card would get, is compiled to the card's machine code and not run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import triton_tools  # noqa: F401  (skips this file where there is no Triton)

_COMPILE = """
import json, sys
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction
from mednextseg.kernels.cuda.block import CudaBlock, CudaDownBlock, CudaUpBlock
from mednextseg.kernels.cuda.engine import CudaHead
from mednextseg.kernels.cuda.rows import BatchRows
from mednextseg.kernels.cuda.stem import CudaStem
from mednextseg.networks.mednext import MedNeXtBlock, MedNeXtConfig, MedNeXtDownBlock, MedNeXtUpBlock, OutBlock

class NoCard:
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)
    get_current_target = staticmethod(lambda: GPUTarget("cuda", int(sys.argv[1]), 32))

kernels, run = {}, JITFunction.run
def compile_only(self, *arguments, grid, warmup, **constants):
    kernel = run(self, *arguments, grid=grid, warmup=True, **constants)
    kernels[kernel.hash] = (self.__name__, kernel.metadata.shared, len(kernel.asm["cubin"]))
JITFunction.run = compile_only
driver.set_active(NoCard())

here, dtype = torch.device("cpu"), getattr(torch, sys.argv[2])
config = MedNeXtConfig(1, 14, kernel_size=int(sys.argv[3]))
torch.set_grad_enabled(False)
def rows(channels, size):
    return BatchRows(torch.zeros(1, size**3, channels, dtype=dtype), (size,) * 3)
CudaHead(OutBlock(config, 32), here, dtype)(CudaStem(torch.nn.Conv3d(1, 32, 1), here, dtype)(torch.zeros(1, 1, 16, 16, 16)))
CudaBlock(MedNeXtBlock(config, 32, 3), here, dtype)(rows(32, 16))
CudaBlock(MedNeXtBlock(config, 128, 8), here, dtype)(rows(128, 8))
CudaDownBlock(MedNeXtDownBlock(config, 128, 8), here, dtype)(rows(128, 8))
CudaUpBlock(MedNeXtUpBlock(config, 64, 3), here, dtype)(rows(64, 8), rows(32, 16))
print(json.dumps(list(kernels.values())))
"""

_SHARED_MEMORY = 101376  # bytes that one program can have on RTX 30, 40 and 50; data-center cards have more


@pytest.mark.parametrize(("capability", "dtype", "kernel_size"), [(90, "bfloat16", 5)])
def test_every_launch_compiles_for_a_card_and_fits(capability: int, dtype: str, kernel_size: int, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", _COMPILE, str(capability), dtype, str(kernel_size)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=600)
    assert result.returncode == 0, result.stderr
    kernels = json.loads(result.stdout)
    names = {name for name, _, _ in kernels}
    wanted = {"stem", "depthwise", "transposed", "combine", "fused", "expand", "project"}
    assert names == {f"_{name}_kernel" for name in wanted}
    assert all(size > 0 and shared <= _SHARED_MEMORY for _, shared, size in kernels)
