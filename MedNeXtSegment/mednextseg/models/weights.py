"""Tensors <-> networks: the architecture is read from the tensors' shapes, never from the name of a variant."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mednextseg.files import replacing
from mednextseg.json_values import listed
from mednextseg.models.families import build_network
from mednextseg.models.generic_unet_tensors import generic_unet_config_of, is_generic_unet
from mednextseg.models.library import sha256_of
from mednextseg.models.monai_names import is_monai_mednext, official_names
from mednextseg.models.monai_weights import is_monai_architecture, monai_network_from
from mednextseg.models.tensor_names import check_tensors
from mednextseg.models.unet_names import unet_class_name, without_aliases
from mednextseg.models.unet_plans import unet_config_of
from mednextseg.networks.mednext import LEVELS, MedNeXt, MedNeXtConfig
from mednextseg.networks.plug_ins import plug_in_configs
from mednextseg.networks.stu_net import STAGES, STUNet, STUNetConfig

# Wrappers of torch.nn.DataParallel and torch.compile leave these in front of every name.
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU.

    Raises:
        ValueError: where the file is truncated or is no safetensors file.
    """
    try:
        return load_file(str(path))
    except Exception as error:  # safetensors raises its own Rust error type, exported under no stable name
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no weights file {path}; install the model again.") from error
        raise ValueError(f"{path} is not a whole safetensors file ({error}); install the model again.") from error


def write_safetensors(tensors: Mapping[str, Tensor], path: str | Path, header: Mapping[str, str] | None = None) -> str:
    """Write the tensors (contiguous copies where needed) and what the header is to say; returns the file's SHA-256.

    Raises:
        OSError: where the disk is full; an old file of that name is then unchanged.
    """
    with replacing(path) as temporary:
        try:
            whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(whole, str(temporary), None if header is None else dict(header))
        except SafetensorError as error:
            raise OSError(
                f"{path} could not be written ({error}); make room or choose another place; the old file, if any, is unchanged."
            ) from error
        # safetensors creates files that only their owner may read; models are shared between the users of a computer.
        temporary.chmod(0o644)
    return sha256_of(path)


def network_from_state_dict(state_dict: Mapping[str, Tensor], architecture: Mapping[str, Any] | None = None) -> nn.Module:
    """The network a state dict belongs to, weights loaded strictly, in evaluation mode.

    Official and MONAI MedNeXt, STU-Net, nnU-Net v2's two U-Nets and v1's are recognized by their tensor names; everything else (expansion
    ratios, block counts, kernel, channels, classes, deep supervision, residual branches) by shapes. Second names of one tensor are checked
    and dropped.

    Args:
        state_dict: tensors by name; prefixes of torch's wrappers are taken off.
        architecture: what shapes cannot tell, from the model card: `pool_sizes_kji` of a STU-Net (by default every stage halves every
            axis), `block_residual` and `plug_ins` of a MedNeXt (by default true, none), the stages of a U-Net (needed: its card's, or the
            plans' entry); for another network of MONAI `network` and `arguments`; other entries are ignored.
    Raises:
        ValueError: where the tensors belong to no known family or do not fit together.
    """
    tensors = without_wrapper_prefix(state_dict)
    if architecture is not None and is_monai_architecture(architecture):
        return monai_network_from(tensors, architecture).eval()
    is_monai = is_monai_mednext(tensors)
    if is_monai:
        tensors = official_names(tensors)
    if "conv_blocks_context.0.0.conv1.weight" in tensors:
        network: nn.Module = STUNet(stu_net_config_of(tensors, (architecture or {}).get("pool_sizes_kji")))
    elif "stem.weight" in tensors and "enc_block_0.0.conv1.weight" in tensors:
        # MONAI leaves out the parameter that takes no part in the result.
        tensors.setdefault("dummy_tensor", torch.tensor([1.0]))
        config = mednext_config_of(tensors)
        if is_monai:
            # One switch of MONAI's governs all residual branches; that of a plain block leaves no tensor behind.
            config = replace(config, block_residual=config.resampling_residual)
        elif architecture is not None and "block_residual" in architecture:
            config = replace(config, block_residual=bool(architecture["block_residual"]))
        if architecture is not None and "plug_ins" in architecture:
            config = replace(config, plug_ins=plug_in_configs(architecture["plug_ins"]))
        network = MedNeXt(config)
    elif is_generic_unet(tensors):
        network = build_network(generic_unet_config_of(tensors))
    elif unet_class_name(tensors) is not None:
        tensors = without_aliases(tensors)
        network = build_network(unet_config_of(tensors, architecture))
    else:
        sample = listed(list(tensors)[:3]) or "none at all"
        raise ValueError(
            f"these tensors ({sample}, ...) are of no known family: MedNeXt (official or MONAI), STU-Net, or PlainConvUNet and "
            "ResidualEncoderUNet of nnU-Net v2, Generic_UNet of version 1."
        )
    load_strictly(network, tensors)
    return network.eval()


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load every tensor by name.

    Raises:
        ValueError: naming the first tensors that are missing, unexpected or of another shape.
    """
    check_tensors(network.state_dict(), tensors, type(network).__name__)
    network.load_state_dict(dict(tensors))


def mednext_config_of(tensors: Mapping[str, Tensor]) -> MedNeXtConfig:
    """Read a MedNeXt's architecture off its tensors (official names).

    Raises:
        ValueError: where a stage or block is missing.
    """
    stem, first = tensors["stem.weight"], tensors["enc_block_0.0.conv1.weight"]
    stages = [f"enc_block_{level}" for level in range(LEVELS)] + ["bottleneck"]
    stages += [f"dec_block_{level}" for level in reversed(range(LEVELS))]
    return MedNeXtConfig(
        in_channels=stem.shape[1],
        num_classes=_shape(tensors, "out_0.conv_out.weight")[1],
        kernel_size=first.shape[-1],
        expansion_ratios=tuple(_ratio(tensors, f"{stage}.0") for stage in stages),
        block_counts=tuple(_block_count(tensors, stage) for stage in stages),
        down_ratios=tuple(_ratio(tensors, f"down_{level}") for level in range(LEVELS)),
        base_channels=stem.shape[0],
        deep_supervision=f"out_{LEVELS}.conv_out.weight" in tensors,
        dims=stem.ndim - 2,
        global_response_norm="enc_block_0.0.grn_gamma" in tensors,
        resampling_residual="down_0.res_conv.weight" in tensors,
    )


def stu_net_config_of(tensors: Mapping[str, Tensor], pool_sizes_kji: Sequence[Sequence[int]] | None = None) -> STUNetConfig:
    """Read a STU-Net's architecture off its tensors; only the pooling sizes leave no trace in them.

    Raises:
        ValueError: where a stage is missing.
    """
    first = [f"conv_blocks_context.{stage}.0.conv1.weight" for stage in range(STAGES)]
    pools: dict[str, Any] = {} if pool_sizes_kji is None else {"pool_sizes_kji": tuple(tuple(pool) for pool in pool_sizes_kji)}
    return STUNetConfig(
        in_channels=_shape(tensors, first[0])[1],
        num_classes=_shape(tensors, f"seg_outputs.{STAGES - 2}.weight")[0],
        depths=tuple(_block_count(tensors, f"conv_blocks_context.{stage}") for stage in range(STAGES)),
        widths=tuple(_shape(tensors, name)[0] for name in first),
        kernel_sizes_kji=tuple(tuple(_shape(tensors, name)[2:]) for name in first),
        **pools,
    )


def without_wrapper_prefix(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the network's own names, without what DataParallel and torch.compile put in front of all of them."""
    tensors = dict(state_dict)
    for prefix in _WRAPPER_PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix) :]: tensor for name, tensor in tensors.items()}
    return tensors


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in tensors:
        raise ValueError(f"the weights lack {name}; the file is not whole or is another network's.")
    return tensors[name].shape


def _ratio(tensors: Mapping[str, Tensor], block: str) -> int:
    hidden, channels = _shape(tensors, f"{block}.conv2.weight")[:2]
    return hidden // channels


def _block_count(tensors: Mapping[str, Tensor], stage: str) -> int:
    count = 0
    while f"{stage}.{count}.conv1.weight" in tensors:
        count += 1
    if count == 0:
        raise ValueError(f"the weights have no block in {stage}; the file is not whole or is another network's.")
    return count
