"""UpKern: start a network of large kernels from the trained weights of the same network with small ones.

Paper: Roy et al., "MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation", MICCAI 2023 (arXiv:2303.09975),
section 2.3 and algorithm 1: kernels are enlarged by trilinear interpolation, everything else is copied. Magnitudes are not rescaled:
the channel-wise norm behind each depthwise convolution takes a constant factor out again.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}  # by spatial dimensions
_FIRST_SPATIAL_AXIS = 2  # of a convolution's weight: (out, in, K, J, I)


def upkern(small_state_dict: Mapping[str, Tensor], large_module: nn.Module) -> dict[str, Tensor]:
    """The small network's weights in the shapes of the large one.

    Args:
        small_state_dict: trained weights, under the same tensor names as the large module's; not changed.
        large_module: the same architecture with larger (or equal) kernels; not changed.
    Returns:
        A state dict that `large_module` loads strictly: copies of equal tensors, kernels resized by linear interpolation with
        half-voxel centers, and the module's own values for tensors that the small network lacks (heads left out by the caller).
    Raises:
        ValueError: for tensors the large module does not have, or whose channels differ.
    """
    target = large_module.state_dict()
    unexpected = [name for name in small_state_dict if name not in target]
    if unexpected:
        raise ValueError(
            f"UpKern needs the same network with another kernel size: the large one has no {unexpected[0]}"
            f"{f' (and {len(unexpected) - 1} more)' if len(unexpected) > 1 else ''}."
        )
    return {
        name: _resized(name, small_state_dict[name], own) if name in small_state_dict else own.clone()
        for name, own in target.items()
    }


def _resized(name: str, small: Tensor, large: Tensor) -> Tensor:
    if small.shape == large.shape:
        return small.detach().to(large.dtype).clone()
    spatial = large.ndim - _FIRST_SPATIAL_AXIS
    same_channels = small.ndim == large.ndim and small.shape[:_FIRST_SPATIAL_AXIS] == large.shape[:_FIRST_SPATIAL_AXIS]
    if spatial not in _MODES or not same_channels:
        raise ValueError(
            f"UpKern changes kernel sizes only, but {name} has shape {tuple(small.shape)} in the small network and "
            f"{tuple(large.shape)} in the large one; give two networks of the same variant, channels and classes."
        )
    grid = large.shape[_FIRST_SPATIAL_AXIS:]
    return F.interpolate(small.detach().to(large.dtype), size=grid, mode=_MODES[spatial], align_corners=False)
