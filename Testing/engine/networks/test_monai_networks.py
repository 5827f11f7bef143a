"""Networks of MONAI by name and arguments: their weights come back exactly, and nothing that is no plain data gets near a constructor."""

import subprocess
import sys

import pytest
import torch

from mednextseg.models.monai_weights import check_window, monai_network_from
from mednextseg.models.tensor_names import own_tensors
from mednextseg.networks.forward_memory import peak_forward_bytes
from mednextseg.networks.monai_network import MONAI_NETWORKS, build_monai_network, monai_class_name, monai_config

CHANNELS = {"in_channels": 1, "out_channels": 3}
STAGES = {"spatial_dims": 3, **CHANNELS, "channels": [4, 8], "strides": [2]}
ARGUMENTS = {
    "AttentionUnet": STAGES,
    "BasicUNet": {"spatial_dims": 3, **CHANNELS, "features": [2, 2, 4, 4, 4, 2]},
    "DynUNet": {
        "spatial_dims": 3, **CHANNELS, "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [2, 4, 4],
        "deep_supervision": True, "deep_supr_num": 1,
    },
    "SegResNet": {**CHANNELS, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "norm_name": "group"},
    "SegResNetDS": {**CHANNELS, "init_filters": 4, "blocks_down": [1, 1], "dsdepth": 2, "norm": "BATCH"},
    "SwinUNETR": {**CHANNELS, "img_size": 64, "feature_size": 12, "depths": [1, 1, 1, 1], "use_checkpoint": False},
    "UNet": {**STAGES, "num_res_units": 1, "norm": ["batch", {"eps": 1e-4}]},
    "UNETR": {**CHANNELS, "img_size": [16, 16, 16], "feature_size": 2, "hidden_size": 12, "mlp_dim": 8, "num_heads": 2},
}  # fmt: skip
SIZES = {"SwinUNETR": 64, "BasicUNet": 32}


def test_every_network_of_the_list_is_tried() -> None:
    assert set(ARGUMENTS) == set(MONAI_NETWORKS)


@pytest.mark.parametrize("network", sorted(ARGUMENTS))
def test_weights_come_back_exactly_under_all_names_and_under_one(network: str) -> None:
    if network in ("SwinUNETR", "UNETR"):
        pytest.importorskip("einops", reason="MONAI's transformers need it")
    torch.manual_seed(0)
    config = monai_config(network, ARGUMENTS[network])
    original = build_monai_network(config).eval()
    size = SIZES.get(network, 16)
    x = torch.randn(1, 1, *[size] * 3)
    with torch.no_grad():
        expected = original(x)
        for tensors in (original.state_dict(), own_tensors(original)):
            read = monai_network_from(tensors, {"network": network, "arguments": dict(config.arguments)}).eval()
            assert torch.equal(read(x), expected) and read.config == config
    check_window(config, (size,) * 3)
    # The output, and what it is made of at the least; no more than every tensor of every layer at once.
    assert 4 * 4 * size**3 <= peak_forward_bytes(lambda: build_monai_network(config), (1, 1, *[size] * 3)) < 4 * 1000 * size**3


def test_the_peak_is_what_is_alive_at_once() -> None:
    layers = [torch.nn.Conv3d(4, 4, 1, bias=False) for _ in range(5)]
    one = 4 * 4 * 8**3
    assert peak_forward_bytes(lambda: torch.nn.Sequential(*layers).to("meta"), (1, 4, 8, 8, 8)) <= 3 * one


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"no_such": 1}, "no argument 'no_such'"),
        ({"act": "$print"}, "expressions are not evaluated"),
        ({"channels": [10**6, 8]}, "no plain number"),
        ({"channels": [4] * 600}, "more than 500 arguments"),
        ({"in_channels": True}, "whole number for in_channels"),
        ({"norm": "no such norm"}, "MONAI makes no UNet"),
    ],
)
def test_arguments_that_are_no_network_are_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build_monai_network(monai_config("UNet", {**STAGES, **arguments}))
    with pytest.raises(ValueError, match="none of MONAI's"):
        monai_config("DiNTS", STAGES)


def test_names_of_other_modules_are_not_networks() -> None:
    assert (
        monai_class_name("monai.networks.nets.DynUnet") == monai_class_name("monai.networks.nets.dynunet.DynUNet") == "DynUNet"
    )
    for name in ("scripts.UNet", "os.system", "monai.networks.netsx.UNet", "monai.networks.nets.Transchex"):
        assert monai_class_name(name) is None


def test_monai_is_not_imported_until_such_a_network_is_built() -> None:
    program = "import sys, mednextseg.models.weights, mednextseg.models.importers; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
