"""Learned window policies: choices within a budget, the plain run where all windows are full, crops where they were cut, and files."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_models import ball, copy_with, step_network, tiny_mednext, write_package
from two_balls import CHANNEL

from mednextseg import load_model, segment
from mednextseg.geometry import Geometry
from mednextseg.models.base_model import BaseModel
from mednextseg.models.learned_windows import LearnedWindows, install_policy, installed_policy, read_policy, write_policy
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import read_card
from mednextseg.models.policy_facts import PolicyFacts, policy_file
from mednextseg.networks.window_decision import WindowDecision
from mednextseg.segment.network_run import multiply_adds_of
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.run_plan import plan_run
from mednextseg.segment.windows.learned_policy import LearnedPolicy, crop_at
from mednextseg.segment.windows.option_choice import chosen_options
from mednextseg.segment.windows.policy import Decision, Other, RowPlan
from mednextseg.segment.windows.sliding_window import OtherNetwork, SlidingWindow, WindowCount, predict_slabs
from mednextseg.segment.windows.window_features import feature_count

PATCH, CROP = (16, 16, 32), (16, 16, 16)
GRID = Geometry((16, 20, 70), np.diag([-1.0, -1.0, 1.0, 1.0]))
torch.manual_seed(0)
NEIGHBORS = torch.nn.Conv3d(1, 3, 3, padding=1).eval()
OTHER = torch.nn.Conv3d(1, 3, 3, padding=1).eval()
ANY = BaseModel("any", "1", ("0" * 64,))


def decision_network(bias: tuple[float, ...], has_position: bool, brightness: float = 0.0) -> WindowDecision:
    """Its logits are the bias, and that of the first option falls with the brightest voxel of a window's first cells."""
    network = WindowDecision(feature_count(1, PATCH), len(bias), has_position)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.choice[2].bias.copy_(torch.tensor(bias))
        network.choice[0].weight[0, 128:192] = 1.0  # of 64 means, 64 spreads and 64 maxima
        network.choice[2].weight[0, 0] = -brightness
    return network


def dynamic(bias: tuple[float, ...] = (0.0, 0.0, 0.0), brightness: float = 0.0) -> LearnedWindows:
    facts = PolicyFacts("dynamic", ANY, (), PATCH, CROP, (0.0, 5.0, 10.0), 0.1, ("one", "two"))
    return LearnedWindows(facts, decision_network(bias, True, brightness))


def bank(others: int = 1, bias: float = 0.0) -> LearnedWindows:
    costs = tuple(float(n) for n in range(1, others + 2))
    facts = PolicyFacts("bank", ANY, (ANY,) * others, PATCH, None, costs, 0.1, ("one", "two"))
    return LearnedWindows(facts, decision_network((bias,) * others + (0.0,), False))


def run(
    image: np.ndarray, sliding: SlidingWindow, members: int = 1, other: Callable = OTHER
) -> tuple[torch.Tensor, WindowCount]:
    count, others = WindowCount(), [OtherNetwork(lambda: other, lambda size: 1)]
    slabs = predict_slabs(
        image, [lambda: NEIGHBORS] * members, 3, sliding, count, multiply_adds_of=lambda size: 10, others=others
    )
    return torch.cat([values for _, values in slabs], dim=1), replace(count, network_seconds=0)


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(2, 4), st.booleans(), st.integers(0, 10**6))
def test_a_lower_budget_gives_no_window_a_dearer_option(windows: int, options: int, may_be_empty: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    falls_short = np.sort(random.uniform(0, 1, (windows, options)).round(random.integers(1, 6)))[:, ::-1].copy()
    falls_short[:, -1] = 0
    costs = np.sort(random.uniform(1, 100, options))
    if may_be_empty:
        costs[0] = 0
    before = np.zeros(windows, dtype=int)
    for budget in (0.0, 0.1, 0.37, 0.5, 0.8, 0.99, 1.0):
        chosen = chosen_options(falls_short, costs, budget, may_be_empty)
        assert (chosen >= before).all()
        before = chosen
        needed = may_be_empty & (falls_short[:, 0] >= 0.5)
        assert not (needed & (chosen == 0)).any()
        least = np.where(needed, costs[1], costs[0]).sum()
        assert costs[chosen].sum() <= max(least, budget * costs[-1] * windows) * (1 + 1e-9)
    assert (chosen == options - 1).all()


@settings(max_examples=3)
@given(st.sampled_from([0.0, 0.5]), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2))
def test_all_full_is_the_plain_run_bit_for_bit(overlap: float, members: int, batch_size: int, runners: int) -> None:
    image = np.random.default_rng(0).normal(size=(1, *GRID.shape_kji)).astype(np.float32)
    sliding = SlidingWindow(PATCH, overlap, batch_size=batch_size, runners=runners)
    plain, plain_count = run(image, sliding, members)
    values, count = run(image, replace(sliding, policy=LearnedPolicy(dynamic((9.0, 0.0, 0.0)), 1.0)), members)
    assert torch.equal(values, plain) and count == plain_count
    if members == 1:
        for learned, budget in ((bank(others=0), 0.0), (bank(bias=9.0), 1.0)):
            values, count = run(image, replace(sliding, policy=LearnedPolicy(learned, budget)))
            assert torch.equal(values, plain) and count == plain_count
        same, count = run(image, replace(sliding, policy=LearnedPolicy(bank(bias=9.0), 0.0)), other=NEIGHBORS)
        assert torch.equal(same, plain) and (count.other, count.full) == (plain_count.full, 0)
        assert count.multiply_adds == count.other


def test_all_skipped_is_background_and_what_is_not_empty_is_not_skipped() -> None:
    image = np.zeros((1, *GRID.shape_kji), dtype=np.float32)
    image[0, 4:8, 4:8, 4:8] = 9.0
    sliding = SlidingWindow(PATCH, policy=LearnedPolicy(dynamic((9.0, 0.0, 0.0)), 0.0))
    values, count = run(image, sliding)
    assert (values == 0).all() and count.multiply_adds == count.forward_passes == 0 < count.skip
    seen, decisions = replace(sliding, policy=LearnedPolicy(dynamic((9.0, 0.0, 0.0), brightness=20.0), 0.0)), []
    list(predict_slabs(image, [lambda: NEIGHBORS], 3, seen, WindowCount(), decisions=decisions))
    for window, decision in decisions:
        assert (decision == "skip") == (image[0][window.slices(PATCH)].max() == 0)


def test_windows_go_to_the_other_network_one_by_one() -> None:
    """Also in batches: what is averaged is what each network says of its own windows."""
    image = np.random.default_rng(1).normal(size=(1, 16, 16, 96)).astype(np.float32)

    @dataclass(frozen=True)
    class EverySecond:
        name: str = "every second"

        def plan(self, grid: object, *_: object) -> RowPlan:
            return RowPlan(lambda window: Other(0) if window.start_kji[2] == 32 else "full", grid, None)

        def planes_ahead(self, grid: object) -> int:
            return 0

    with torch.inference_mode():
        expected = (
            NEIGHBORS(torch.from_numpy(image[:, None, :, :, :32]))[0],
            OTHER(torch.from_numpy(image[:, None, :, :, 32:64]))[0],
        )
    for batch_size in (1, 3):
        values, count = run(image, SlidingWindow(PATCH, 0.0, batch_size=batch_size, policy=EverySecond()))
        assert torch.allclose(values[..., :32], expected[0], atol=1e-5) and torch.allclose(
            values[..., 32:64], expected[1], atol=1e-5
        )
        assert (count.full, count.other, count.multiply_adds) == (2, 1, 21)


def test_a_crop_is_pasted_where_it_was_cut_out_for_a_hundred_positions() -> None:
    """Trap of Med-DANet V2's code: there x is cropped by action[1] and pasted by action[0]."""
    random = np.random.default_rng(0)
    patch, crop = (12, 14, 16), (5, 7, 9)
    for position in random.uniform(0, 1, (100, 3)):
        cropped = crop_at(position, patch, crop)

        @dataclass(frozen=True)
        class Cropped:
            decision: Decision = cropped
            name: str = "cropped"

            def plan(self, grid: object, *_: object) -> RowPlan:
                return RowPlan(lambda window: self.decision, grid, None)

            def planes_ahead(self, grid: object) -> int:
                return 0

        image = random.uniform(1, 2, (1, *patch)).astype(np.float32)
        slabs = predict_slabs(image, [lambda: lambda x: x], 1, SlidingWindow(patch, policy=Cropped()), WindowCount())
        pasted = torch.cat([values for _, values in slabs], dim=1).numpy()
        box = tuple(slice(o, o + n) for o, n in zip(cropped.offset_kji, crop, strict=True))
        assert np.allclose(pasted[0][box], image[0][box], atol=1e-5)
        pasted[0][box] = 0
        assert (pasted == 0).all()
    ends = [crop_at(np.full(3, at), patch, crop).offset_kji for at in (0.0, 1.0)]
    assert ends == [(0, 0, 0), (7, 7, 7)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    fields = {"channels": CHANNEL, "patch_size_kji": list(PATCH)}
    write_package(tmp_path / "models" / "steps", step_network((25, 75)), ("dim", "bright"), **fields)
    write_package(tmp_path / "models" / "small", tiny_mednext(), ("dim", "bright"), **fields)
    return tmp_path


def named(model: LoadedModel) -> BaseModel:
    return BaseModel(model.card.id, model.card.version, model.card.weights_sha256)


def volume() -> np.ndarray:
    return 90 * ball(GRID.shape_kji, (8, 10, 16), (4, 4, 6)).astype(np.float32)


def test_a_run_takes_the_installed_policy_and_says_so(home: Path) -> None:
    model, image = load_model("steps"), volume()
    expected, plain = segment(image, GRID, model)
    learned = dynamic((9.0, 0.0, 0.0), brightness=1.0)
    install_policy(replace(learned, facts=replace(learned.facts, model=named(model))))
    labels, report = segment(image, GRID, model, recipe=SegmentRecipe(budget=0.5))
    assert report.window_policy == "dynamic" and plain.window_policy == "full"
    assert np.array_equal(labels, expected)
    windows, costs = report.windows, [multiply_adds_of(model.network_config, size) for size in (PATCH, CROP)]
    assert windows.skip and windows.skip + windows.crop + windows.full == plain.windows.full
    assert windows.multiply_adds == windows.full * costs[0] + windows.crop * costs[1] < plain.windows.multiply_adds
    skipped = report.skip_map_kji(GRID)
    assert skipped[:, :, 60:].min() == 1 and not skipped[expected > 0].max() == 1
    _, coarse = segment(image, GRID, model, recipe=SegmentRecipe(budget=0.5, window_policy="coarse"))
    assert coarse.window_policy == "coarse"
    labels, full = segment(image, GRID, model, recipe=SegmentRecipe(window_policy="dynamic"))
    assert np.array_equal(labels, expected) and replace(full.windows, network_seconds=0) == replace(
        plain.windows, network_seconds=0
    )
    plans = [plan_run(GRID, model, None, SegmentRecipe(budget=budget), "cpu") for budget in (0.0, 0.5, 1.0)]
    assert [plan.forward_passes for plan in plans] == [-(-plain.windows.full // n) for n in (10, 2, 1)]


def test_the_policy_that_came_with_a_bundled_model_is_for_its_weights(home: Path) -> None:
    card = read_card(bundled_models_folder() / "head-neck-ct")
    learned = installed_policy(card)
    assert (
        learned is not None
        and learned.facts.kind == "dynamic"
        and all(case.startswith("train_") for case in learned.facts.cases)
    )
    own = replace(learned, facts=replace(learned.facts, cases=("mine",)))
    install_policy(own)
    assert installed_policy(card).facts.cases == ("mine",), "one's own is taken first"
    install_policy(replace(own, facts=replace(own.facts, model=BaseModel(card.id, "9", ("0" * 64,)))))
    assert installed_policy(card).facts == learned.facts, "never one of other weights"


def test_a_bank_gives_windows_to_the_cheaper_model(home: Path) -> None:
    best, small, image = load_model("steps"), load_model("small"), volume()
    with pytest.raises(
        ValueError, match=r'"bank" needs a policy .* for steps .*none is installed; train one by mednextseg adapt'
    ):
        segment(image, GRID, best, recipe=SegmentRecipe(budget=0.5, window_policy="bank"))
    learned = bank(bias=9.0)
    facts = replace(learned.facts, model=named(best), others=(named(small),))
    install_policy(replace(learned, facts=facts))
    alone, _ = segment(image, GRID, small)
    labels, report = segment(image, GRID, best, recipe=SegmentRecipe(budget=0.0))
    assert report.window_policy == "bank" and np.array_equal(labels, alone)
    assert report.windows.other > 0 == report.windows.full and not report.has_skipped
    assert report.windows.multiply_adds == report.windows.other * multiply_adds_of(small.network_config, PATCH)
    expected, _ = segment(image, GRID, best)
    labels, _ = segment(image, GRID, best, recipe=SegmentRecipe(window_policy="bank"))
    assert np.array_equal(labels, expected)
    other = copy_with(home / "models" / "small", home / "models" / "turned", id="turned", orientation="LPS")
    (home / "models" / "small").rename(home / "small")
    with pytest.raises(ValueError, match=r"the bank of steps needs the model small 1\.0\.0"):
        segment(image, GRID, best, recipe=SegmentRecipe(budget=0.0))
    install_policy(replace(learned, facts=replace(facts, others=(named(load_model(other)),))))
    with pytest.raises(ValueError, match="turned differs from steps in orientation"):
        segment(image, GRID, best, recipe=SegmentRecipe(budget=0.0))


def test_a_policy_is_only_taken_for_the_weights_it_was_made_for(home: Path) -> None:
    install_policy(replace(dynamic(), facts=replace(dynamic().facts, model=BaseModel("steps", "1.0.0", ("1" * 64,)))))
    _, report = segment(volume(), GRID, load_model("steps"), recipe=SegmentRecipe(budget=0.5))
    assert report.window_policy == "coarse"


def test_a_file_gives_back_what_was_written_and_nothing_else_is_read(home: Path) -> None:
    policy, file = dynamic((1.0, 2.0, 3.0)), home / "policy.safetensors"
    write_policy(policy, file)
    read = read_policy(file)
    features = torch.randn(5, feature_count(1, PATCH))
    assert read.facts == policy.facts and torch.equal(read.network.falls_short(features), policy.network.falls_short(features))
    whole = file.read_bytes()
    save_file(policy.network.state_dict(), home / "no_header.safetensors")
    broken = {
        "cut": whole[:-9],
        "text": b"no tensors",
        "kind": whole.replace(b'\\"dynamic\\"', b'\\"dynamo!\\"'),
        "costs": whole.replace(b"[0.0, 5.0, 10.0]", b"[0.0, 5.0, 1.00]"),
        "crop": whole.replace(b"[16, 16, 16]", b"[16, 16, 64]"),
        "no_header": (home / "no_header.safetensors").read_bytes(),
    }
    for name, content in broken.items():
        assert content != whole
        path = policy_file("steps", "dynamic")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            segment(volume(), GRID, load_model("steps"), recipe=SegmentRecipe(budget=0.5))
        assert str(path) in str(caught.value) and str(caught.value).count(". ") == 0, name
