"""Our MedNeXt is the official one, tensor by tensor and output by output."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from monai.networks.nets import MedNeXt as MonaiMedNeXt

from mednextseg.models.weights import mednext_config_of, network_from_state_dict
from mednextseg.networks.mednext import VARIANTS, MedNeXt, MedNeXtConfig, build_mednext

CASES = ["mednext_S_k3", "mednext_S_k5", "mednext_B_k3_ds"]
# Parameters with one input channel and three classes, no deep supervision (the official code's own count).
PARAMETER_COUNTS = {("S", 3): 5_550_948, ("S", 5): 5_980_580, ("B", 3): 10_526_340, ("B", 5): 10_955_972}
PARAMETER_COUNTS |= {("M", 3): 17_548_996, ("M", 5): 18_260_868, ("L", 3): 61_779_300, ("L", 5): 62_992_932}


@pytest.fixture(scope="module")
def golden_weights(golden: Path) -> ModuleType:
    sys.path.insert(0, str(golden))
    import golden_weights

    sys.path.remove(str(golden))
    return golden_weights


@pytest.mark.parametrize("case", CASES)
def test_outputs_equal_the_official_networks(case: str, golden: Path, golden_weights: ModuleType) -> None:
    entry = json.loads((golden / "mednext" / "manifest.json").read_text())["cases"][case]
    arrays = golden_weights.fill(entry["tensors"])
    assert golden_weights.digest(arrays) == entry["weights_digest"]
    network = build_mednext(
        entry["model_id"], entry["kernel_size"], entry["in_channels"], entry["num_classes"], entry["deep_supervision"]
    )
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=True)
    stored = np.load(golden / entry["file"])
    with torch.no_grad():
        outputs = network.eval()(torch.from_numpy(stored["x"]))
    for level, output in enumerate(outputs if entry["deep_supervision"] else [outputs]):
        difference = output.numpy() - stored[f"out_{level}"]
        tolerance = entry["outputs"][f"out_{level}"]
        assert np.abs(difference).max() <= tolerance["suggested_atol_max"]
        assert np.sqrt(np.mean(difference**2)) <= tolerance["suggested_atol_rms"]


@pytest.mark.parametrize(("variant", "kernel_size"), PARAMETER_COUNTS)
def test_parameter_counts_are_the_official_ones(variant: str, kernel_size: int) -> None:
    with torch.device("meta"):
        network = build_mednext(variant, kernel_size, 1, 3)
    assert sum(p.numel() for p in network.parameters()) == PARAMETER_COUNTS[variant, kernel_size]


@pytest.mark.parametrize(
    "config",
    [
        MedNeXtConfig(2, 4, base_channels=4),
        MedNeXtConfig(1, 3, kernel_size=5, base_channels=4, deep_supervision=True),
        MedNeXtConfig(1, 2, base_channels=4, dims=2, block_counts=(1, 2, 1, 1, 3, 1, 1, 1, 1)),
        MedNeXtConfig(1, 2, base_channels=4, expansion_ratios=(2, 3, 4, 4, 4, 4, 4, 3, 2), down_ratios=(2, 3, 4, 4)),
        MedNeXtConfig(1, 2, base_channels=4, global_response_norm=True, resampling_residual=False),
    ],
)
def test_architecture_is_read_off_the_tensors(config: MedNeXtConfig) -> None:
    network = MedNeXt(config)
    assert mednext_config_of(network.state_dict()) == config
    wrapped = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    assert network_from_state_dict(wrapped).config == config


@pytest.mark.parametrize(("variant", "residual"), [("S", True), ("S", False), ("B", True), ("M", True), ("L", True)])
def test_monai_weights_load_as_what_they_are(variant: str, residual: bool) -> None:
    ratios, counts = VARIANTS[variant]["expansion_ratios"], VARIANTS[variant]["block_counts"]
    torch.manual_seed(1)
    monai = MonaiMedNeXt(
        init_filters=8,
        in_channels=2,
        out_channels=3,
        encoder_expansion_ratio=ratios[:4],
        bottleneck_expansion_ratio=ratios[4],
        decoder_expansion_ratio=ratios[5:],
        kernel_size=3,
        blocks_down=counts[:4],
        blocks_bottleneck=counts[4],
        blocks_up=counts[5:],
        use_residual_connection=residual,
    ).eval()
    ours = network_from_state_dict(monai.state_dict())
    assert ours.config.down_ratios == ratios[:4]  # MONAI's down blocks take the ratio of the finer level
    x = torch.randn(1, 2, 16, 32, 16)
    with torch.no_grad():
        assert torch.allclose(ours(x), monai(x), atol=1e-5)


def test_gradient_checkpointing_changes_memory_not_gradients() -> None:
    torch.manual_seed(0)
    network = MedNeXt(MedNeXtConfig(1, 2, base_channels=4, block_counts=(1,) * 9)).train()
    x = torch.randn(1, 1, 16, 16, 32)
    gradients = []
    for checkpointing in (False, True):
        network.gradient_checkpointing = checkpointing
        network.zero_grad()
        network(x).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_an_input_of_the_wrong_size_is_refused_in_one_sentence() -> None:
    network = MedNeXt(MedNeXtConfig(1, 2, base_channels=4, block_counts=(1,) * 9))
    with pytest.raises(ValueError, match="divisible by 16"):
        network(torch.zeros(1, 1, 16, 17, 16))


def test_truncated_weights_name_what_is_missing() -> None:
    tensors = MedNeXt(MedNeXtConfig(1, 2, base_channels=4)).state_dict()
    del tensors["up_2.norm.weight"]
    with pytest.raises(ValueError, match=r"up_2\.norm\.weight is missing"):
        network_from_state_dict(tensors)
