"""The fast path of the networks: the results and gradients of the plain modules in networks/, in less time and less memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mednextseg.kernels.cpu.engine import MedNeXtEngine, is_supported
from mednextseg.kernels.cpu.gradients.network import TrainableMedNeXt
from mednextseg.kernels.cuda.support import verified_engine
from mednextseg.kernels.mps.support import verified_runner
from mednextseg.kernels.plain import PlainRunner

__all__ = ["accelerate", "trainable"]

# By kind of device. The transposed 3D convolution of MPS takes float32 only, also under autocast (pytorch/pytorch issue 160739).
_DTYPES = {
    "cpu": (torch.float32, torch.bfloat16),
    "cuda": (torch.float32, torch.bfloat16, torch.float16),
    "mps": (torch.float32,),
}


def accelerate(
    module: nn.Module, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Callable[[Tensor], Tensor | list[Tensor]]:
    """The fastest exact way to run a network on a device.

    A 3D MedNeXt on the processor runs on the channels-last engine, on an NVIDIA card on Triton kernels where those are proved to
    work; everything else runs as it is, in evaluation mode, without gradients and in the memory format of the device. The weights
    are those of this moment: the callable keeps a copy.

    Args:
        module: a network; not modified.
        device: "cpu", "cuda:0", "mps" or a torch.device.
        dtype: torch.float32 gives the plain network's numbers up to rounding. torch.bfloat16 (and torch.float16 on a graphics
            card) is faster and not exact: 0.2-0.6 % of the labels of untrained networks change (see precision.py).
            Apple's "mps" computes in torch.float32 only.
    Returns:
        x (N, channels, ...) -> float32 logits on the same device, or the list of them where the module returns a list. To be
        used by one thread at a time.
    Raises:
        ValueError: for another dtype.
        RuntimeError: for an MPS device that computes the network wrongly.
    """
    device = torch.device(device)
    allowed = _DTYPES.get(device.type, _DTYPES["cpu"])
    if dtype not in allowed:
        raise ValueError(
            f"accelerate cannot compute in {dtype} on {device.type}; choose one of {', '.join(map(str, allowed))}."
        )
    if device.type == "cpu" and is_supported(module):
        return MedNeXtEngine(module, dtype)
    if device.type == "mps":
        return verified_runner(module, device)
    if device.type == "cuda" and (engine := verified_engine(module, device, dtype)):
        return engine
    # On the processor instance norms copy what is channels-last, before and after each: a seventh of a 3D U-Net's time.
    copies = device.type == "cpu" and any(isinstance(part, nn.InstanceNorm3d) for part in module.modules())
    return PlainRunner(module, device, dtype, channels_last=not copies)


def trainable(module: nn.Module) -> Callable[[Tensor], Tensor | list[Tensor]]:
    """The fastest exact way to call a network whose gradients are wanted.

    A 3D MedNeXt on the processor gets gradients of our own, equal to PyTorch's up to rounding; everything else is returned as it is.
    The parameters are the module's at each call, and so is `gradient_checkpointing`: optimizers, checkpoints and averages work on
    the module as ever.

    Args:
        module: a network on its device.
    Returns:
        x (N, channels, K, J, I) -> what module(x) returns, for `backward`.
    """
    on_processor = all(parameter.device.type == "cpu" for parameter in module.parameters())
    if on_processor and is_supported(module):
        return TrainableMedNeXt(module)
    return module
