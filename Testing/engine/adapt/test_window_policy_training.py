"""Window policies are trained: labels by epsilon, scores by hand, and balls in noise whose windows are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ball, step_network, tiny_mednext, write_package
from two_balls import CHANNEL

from mednextseg import load_model, segment
from mednextseg.adapt.window_policy.decision_training import train_decision
from mednextseg.adapt.window_policy.policy_training import crop_size
from mednextseg.adapt.window_policy.window_pairs import WindowPairs
from mednextseg.adapt.window_policy.window_scores import cheapest_good_enough, window_dice, window_shares
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.models.learned_windows import read_policy
from mednextseg.networks.window_decision import WindowDecision
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.layout import WindowGrid
from mednextseg.segment.windows.window_features import window_features
from mednextseg.volume_io import image_of, write_image

PATCH = (16, 16, 16)
GRID = Geometry((16, 24, 56), np.eye(4))  # the network's own axes, so that its windows lie in the volume as they are


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6))
def test_epsilon_goes_from_the_best_to_the_cheapest(windows: int, options: int, seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 1, (windows, options)).round(2)
    rows, best = np.arange(windows), scores.max(axis=1)
    assert np.array_equal(scores[rows, cheapest_good_enough(scores, 0.0)], best)
    assert not cheapest_good_enough(scores, 1.0).any()
    for epsilon in (0.05, 0.3):
        chosen = cheapest_good_enough(scores, epsilon)
        assert (scores[rows, chosen] >= best - epsilon).all()
        for cheaper in range(options - 1):  # none before it would have done
            assert (scores[chosen > cheaper, cheaper] < best[chosen > cheaper] - epsilon).all()


def test_on_held_out_windows_what_is_chosen_is_nearly_as_good_as_the_best() -> None:
    """Two options, of which the cheap one falls short where the first feature is high."""
    torch.manual_seed(0)
    features = torch.randn(600, 20)
    is_hard = (features[:, 0] > 0).numpy()
    scores = np.stack([np.where(is_hard, 0.5, 0.97), np.full(600, 0.98)], axis=1)
    pairs = [WindowPairs(features[part], scores[part], np.full((300, 3), np.nan)) for part in (slice(300), slice(300, 600))]
    network = train_decision(pairs[0], False, 0.02, seed=0)
    chosen = (network.falls_short(pairs[1].features)[:, 0] >= 0.5).int().numpy()
    reached = pairs[1].scores[np.arange(300), chosen]
    assert (reached >= pairs[1].scores.max(axis=1) - 0.02).mean() > 0.9
    assert 0.35 < chosen.mean() < 0.65
    again = train_decision(pairs[0], False, 0.02, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_probabilities_fall_from_the_cheapest_option_to_the_best() -> None:
    network = WindowDecision(7, 3, True)
    x = torch.randn(50, 7) * 100
    falls_short = network.falls_short(x)
    assert torch.allclose(falls_short[:, 2], torch.zeros(50), atol=1e-6) and (falls_short[:, :-1] >= falls_short[:, 1:]).all()
    assert torch.allclose(falls_short[:, 0], 1 - network.logits(x).softmax(1)[:, 0], atol=1e-6)
    assert ((network.positions(x) >= 0) & (network.positions(x) <= 1)).all()


def test_windows_share_every_voxel_and_scores_count_by_that() -> None:
    grid = WindowGrid.laid((24, 16, 16), PATCH, 0.5)
    shares = window_shares(grid, "gaussian")
    total = np.zeros(grid.shape_kji)
    for window, share in zip(grid.windows, shares, strict=True):
        total[window.slices(PATCH)] += share
    assert np.allclose(total, 1)
    right, answer, even = np.zeros(PATCH), np.zeros(PATCH), np.ones(PATCH)
    assert window_dice(answer, right, even) == 1
    right[:8] = 1
    answer[:4], answer[4:8] = 1, 2
    assert window_dice(answer, right, even) == pytest.approx(0.5, abs=1e-3)
    assert window_dice(np.zeros(PATCH), right, even) < 0.01
    assert window_dice(np.zeros(PATCH), right, even * 1e-6) > 0.99  # other windows count for more there
    assert crop_size((64, 32, 16), (16, 16, 16)) == (48, 16, 16) and crop_size((1, 128, 96), (1, 16, 16)) == (1, 96, 64)


def noisy_ball(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    image = random.normal(0, 4, GRID.shape_kji)
    inside = ball(GRID.shape_kji, tuple(random.uniform(6, n - 6) for n in GRID.shape_kji), (5.0,) * 3)
    return np.where(inside, 90 + image, image).astype(np.float32)


def balls_as_pairs(seeds: range) -> WindowPairs:
    """What windows of noisy balls look like, and how good it would be to skip them."""
    grid, parts = WindowGrid.laid(GRID.shape_kji, PATCH, 0.5), []
    shares, nothing = window_shares(grid, "gaussian"), np.zeros(PATCH)
    for seed in seeds:
        image = noisy_ball(seed)
        right = [image[window.slices(PATCH)] > 50 for window in grid.windows]
        scores = [[window_dice(nothing, labels, share), 1.0] for labels, share in zip(right, shares, strict=True)]
        parts.append(WindowPairs(window_features(image[None], grid), np.array(scores), np.full((grid.count, 3), np.nan)))
    return WindowPairs.joined(parts)


def test_of_windows_of_balls_those_are_skipped_that_hold_none() -> None:
    network, unseen = train_decision(balls_as_pairs(range(60)), False, 0.02, seed=0), balls_as_pairs(range(100, 130))
    is_skipped = (network.falls_short(unseen.features)[:, 0] < 0.5).numpy()
    may_be, is_empty = unseen.scores[:, 0] >= 0.9, unseen.scores[:, 0] == 1
    # Precision and recall: 0.991 and 1; another processor may decide on one or two windows at the edge of a ball otherwise.
    assert may_be[is_skipped].mean() >= 0.98 and is_skipped[is_empty].mean() >= 0.98
    assert is_empty.sum() > 100 and (~may_be).sum() > 50


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models with the same labels, and volumes of one ball each."""
    home = tmp_path_factory.mktemp("policies")
    for name, network in (("steps", step_network((50,))), ("small", tiny_mednext(num_classes=2))):
        write_package(home / "models" / name, network, ("ball",), channels=CHANNEL, patch_size_kji=list(PATCH))
    (home / "volumes" / "imagesTr").mkdir(parents=True)
    for seed in range(8):
        write_image(image_of(noisy_ball(seed), GRID), home / "volumes" / "imagesTr" / f"v{seed}.nii.gz")
    (home / "volumes" / "splits_final.json").write_text('[{"train": [], "val": ["v7"]}]', encoding="utf-8")
    return home


def test_balls_are_found_and_nothing_else_is_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(home))
    command = ["adapt", "--policy", "dynamic", "--model", "steps", "--dataset", str(home / "volumes"), "-o", str(home / "out")]
    assert main([*command, "--install", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert "v7" not in record["facts"]["cases"] and len(record["facts"]["cases"]) == 7
    assert read_policy(record["file"]).facts == read_policy(record["installed"]).facts
    costs = [budget["cost"] for budget in record["judged"]]
    assert costs == sorted(costs) and costs[-1] == 1 and record["judged"][-1]["score"] > 0.99
    model, agreeing, voxels, skipped = load_model("steps"), 0, 0, 0
    for seed in (7, 20, 21):
        image = noisy_ball(seed)
        labels, report = segment(image, GRID, model, recipe=SegmentRecipe(budget=0.0))
        agreeing += 2 * int(((image > 50) & (labels == 1)).sum())
        voxels += int((image > 50).sum() + (labels == 1).sum())
        skipped += report.windows.skip
    assert report.window_policy == "dynamic" and skipped > 0 and agreeing > 0.9 * voxels


def test_a_bank_learns_where_the_cheaper_model_will_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(home))
    command = [
        "adapt",
        "--policy",
        "bank",
        "--dataset",
        str(home / "volumes"),
        "-o",
        str(home / "bank"),
        "--held-out",
        "v2,v3,v4,v5,v6,v7",
    ]
    assert main([*command, "--model", "small", "--bank", "steps"]) == 0
    table = capsys.readouterr().out
    assert "2 volumes" in table and "| steps | small |" in table and "policy.safetensors" in table
    for more, sentence in (
        (["--model", "small"], "--bank names the cheaper models of --policy bank"),
        (["--model", "steps", "--bank", "small"], "small is no cheaper than steps"),
        (["--model", "small", "--bank", "steps", "--held-out", "v0,v1,v2,v3,v4,v5,v6"], "at least two volumes, got 1"),
        (["--model", "small", "--bank", "steps", "--pairs", "x"], "cannot be combined with --pairs"),
        (["--model", "small", "--bank", "steps", "--epsilon", "2"], "--epsilon must be a Dice from 0 to 1"),
    ):
        assert main([*command, *more]) != 0
        assert sentence in capsys.readouterr().err
