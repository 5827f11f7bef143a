"""The sizes that a design is ranked by are those of the real network, and limits hold."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe, network_config
from mednextseg.cli import main
from mednextseg.networks.mednext import VARIANTS, MedNeXt, MedNeXtConfig, variant_config
from mednextseg.networks.sizing import (
    LARGEST_DEPTH_PER_WIDTH,
    depth_per_width,
    designs,
    entropy_score,
    multiply_adds,
    parameters,
    training_bytes,
)

PATCH = (32, 32, 48)


@given(
    st.sampled_from((4, 8, 12)),
    st.sampled_from((3, 5)),
    st.lists(st.integers(1, 4), min_size=9, max_size=9),
    st.lists(st.integers(1, 5), min_size=9, max_size=9),
    st.integers(1, 4),
)
@settings(max_examples=20, deadline=None)
def test_parameters_are_those_of_the_network(
    base: int, kernel: int, blocks: list[int], ratios: list[int], channels: int
) -> None:
    config = MedNeXtConfig(channels, 3, kernel, expansion_ratios=tuple(ratios), block_counts=tuple(blocks), base_channels=base)
    with torch.device("meta"):
        network = MedNeXt(config)
    assert parameters(config) == sum(weights.numel() for weights in network.parameters())


@pytest.mark.parametrize(
    "config", [variant_config("S", 1, 5, base_channels=4), variant_config("L", 2, 3, kernel_size=5, base_channels=4)]
)
def test_memory_and_arithmetic_are_close_to_what_a_step_takes(config: MedNeXtConfig) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network, patch = MedNeXt(config), torch.zeros(1, config.in_channels, *PATCH)
    weights, kept = {id(tensor) for tensor in network.parameters()}, {}
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.setdefault(id(tensor), tensor), lambda tensor: tensor):
        network(patch)
    saved = sum(4 * tensor.numel() for key, tensor in kept.items() if key not in weights)
    activations = training_bytes(config, PATCH) - 4 * 5 * parameters(config)
    assert activations == pytest.approx(saved, rel=0.15)
    with FlopCounterMode(display=False) as counter:
        network(patch)
    assert multiply_adds(config, PATCH) == pytest.approx(counter.get_total_flops() / 2, rel=0.07)


def test_designs_keep_to_the_limits_and_more_memory_never_scores_less() -> None:
    scores = []
    for limit in (0.1e9, 0.5e9):
        found = designs(1, 3, PATCH, limit, most_parameters=2e7)
        assert all(design.training_bytes <= limit and design.parameters <= 2e7 for design in found)
        assert all(depth_per_width(design.config) <= LARGEST_DEPTH_PER_WIDTH for design in found)
        assert [design.score for design in found] == sorted((design.score for design in found), reverse=True)
        scores.append(found[0].score)
    assert scores[0] < scores[1]
    assert designs(1, 3, PATCH, 1e6) == []


def test_the_papers_networks_are_ranked_as_the_paper_ranks_them() -> None:
    scores = [entropy_score(variant_config(variant, 1, 2), (128, 128, 128)) for variant in VARIANTS]
    assert scores == sorted(scores)


def test_the_command_suggests_a_network_and_its_recipe_builds_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    recipe_file = tmp_path / "recipe.json"
    arguments = ["models", "design", "--memory", "500MB", "--patch", "48,32,32", "--labels", "2", "--seconds", "60"]
    assert main([*arguments, "-o", str(recipe_file), "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["designs"][0]
    config = network_config(MedNeXtRecipe.from_json(recipe_file), 1, 3)
    assert parameters(replace(config, deep_supervision=False)) == best["parameters"]
    assert best["training_gb"] <= 0.5 and 0 < best["seconds_a_patch"] <= 60
    assert MedNeXtRecipe.from_json(recipe_file).patch_size_kji == PATCH
    assert main(["models", "design", "--memory", "1MB"]) == 1
    assert "no MedNeXt fits" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["--memory much", "--memory 8GB --patch 90,90,90", "--memory 8GB --seconds nan", "--memory 8GB --labels 0", "--memory 0GB"],
)
def test_odd_limits_are_refused(words: str) -> None:
    with pytest.raises(SystemExit):
        main(["models", "design", *words.split()])
