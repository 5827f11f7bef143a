"""Networks on Apple's graphics chips (MPS): plain PyTorch, in a memory format that is proved to be right.

Versions of PyTorch and macOS compute 3D convolutions wrongly there, without an error: up to 2.5 where the input was channels-last
(pytorch/pytorch issue 141471), and on some systems of 2026 where it was not (issue 197114). So both formats are tried against the
processor.
"""

import torch
from torch import nn

from mednextseg.kernels.plain import PlainRunner
from mednextseg.kernels.verification import relative_error
from mednextseg.networks.generic_unet import GenericUNet
from mednextseg.networks.plain_conv_unet import PlainConvUNet

_LARGEST_ERROR = 1e-3
_GRIDS = {2: (32, 64), 3: (32, 32, 64)}


def verified_runner(module: nn.Module, device: torch.device) -> PlainRunner:
    """The network in the first memory format whose result is that of the processor.

    Args:
        module: a network of 2 or 3 dimensions.
        device: the MPS device.
    Raises:
        RuntimeError: where no format gives the right result.
    """
    found, grid = [], _grid_of_patch(module)
    for channels_last in (False, True):
        runner = PlainRunner(module, device, torch.float32, channels_last)
        try:
            error = relative_error(runner, module, grid)
        except RuntimeError as problem:  # before PyTorch 2.8 there is no transposed 3D convolution
            found.append(str(problem).rstrip("."))
            continue
        if error <= _LARGEST_ERROR:
            return runner
        found.append(f"relative error {error:.1e}")
    raise RuntimeError(
        f"PyTorch {torch.__version__} does not compute this network correctly on {device} ({'; '.join(found)}): "
        "choose the processor or another version of PyTorch."
    )


def _grid_of_patch(module: nn.Module) -> tuple[int, ...]:
    if isinstance(
        module, PlainConvUNet | GenericUNet
    ):  # its plans decide how often each axis is halved; two voxels are left of the last
        *others, last = module.config.size_divisor
        return (*others, 2 * last)
    return _GRIDS[2 if any(isinstance(part, nn.Conv2d) for part in module.modules()) else 3]
