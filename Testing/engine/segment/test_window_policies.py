"""Which windows are looked at: never fewer than safety asks for, never more for a lower budget, and exactly the full run where all are."""

from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ThresholdNetwork, ball

from mednextseg.networks.forward_cost import multiply_adds
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.first_look import CoarsePolicy
from mednextseg.segment.windows.layout import Window, WindowGrid, window_starts
from mednextseg.segment.windows.policy import Crop, Decision, FullPolicy
from mednextseg.segment.windows.running_sum import RunningSum
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs

PATCH = (16, 16, 32)
torch.manual_seed(0)
# Looks at neighbors, so that windows differ where they overlap.
RANDOM = torch.nn.Conv3d(1, 3, 3, padding=1).eval()
# A voxel's label depends on nothing but the voxel: what is found where is known beforehand.
STEPS = ThresholdNetwork()
COARSE = CoarsePolicy(0.0, margin_kji=(2, 2, 2), wanted=(1,), threshold=None, divisor_kji=(16, 16, 16))
SHAPES = st.tuples(st.integers(10, 50), st.integers(10, 30), st.integers(20, 70))


def run(image: np.ndarray, network: object, sliding: SlidingWindow, members: int = 1) -> tuple[torch.Tensor, WindowCount, dict]:
    count, decisions, outputs = WindowCount(), [], 3 if network is RANDOM else 2
    slabs = predict_slabs(
        image, [lambda: network] * members, outputs, sliding, count, decisions=decisions, multiply_adds_of=prod
    )
    values = torch.cat([values for _, values in slabs], dim=1)
    assert values.shape[1:] == image.shape[1:]
    return values, count, dict(decisions)


def boxes(decisions: dict[Window, Decision], kind: type | str) -> list[tuple[slice, ...]]:
    return [w.slices(PATCH) for w, d in decisions.items() if (isinstance(d, Crop) if kind is Crop else d == kind)]


def spheres(shape: tuple, seed: int) -> np.ndarray:
    """(1, K, J, I): one where one of up to three balls is, zero elsewhere."""
    random = np.random.default_rng(seed)
    image = np.zeros(shape, dtype=np.float32)
    for _ in range(random.integers(0, 4)):
        image[ball(shape, tuple(random.uniform(0, n) for n in shape), (random.uniform(1, 6),) * 3)] = 1
    return image[None]


@given(st.integers(1, 300), st.integers(1, 64), st.floats(0, 0.9))
def test_the_first_look_covers_every_voxel_with_few_windows(length: int, patch: int, overlap: float) -> None:
    for layout in ("even", "dense"):
        grid = WindowGrid.laid((length, 8, 8), (patch, 8, 8), overlap, layout)
        starts, cover = grid.starts_kji[0], grid.covering_kji[0]
        assert set(cover) <= set(starts) and cover[0] == 0 and cover[-1] == starts[-1] == grid.shape_kji[0] - patch
        assert all(a < b <= a + patch for a, b in pairwise(cover))
        if patch > 1:
            assert len(cover) <= max(1, 2 * -(-grid.shape_kji[0] // patch))


def test_a_very_long_axis_is_covered_at_once() -> None:
    """A wrong spacing makes an axis of a million voxels; a plan of it, asked for by a worker, came after minutes."""
    grid = WindowGrid.laid((2_000_000, 8, 8), (16, 8, 8), 0.5)
    assert len(grid.covering_kji[0]) == 125_000


@settings(max_examples=6)
@given(SHAPES, st.sampled_from([0.0, 0.5]), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2))
def test_everything_looked_at_is_the_plain_run_bit_for_bit(
    shape: tuple, overlap: float, members: int, batch_size: int, runners: int
) -> None:
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    sliding = SlidingWindow(PATCH, overlap, batch_size=batch_size, runners=runners)
    plain, plain_count, _ = run(image, RANDOM, sliding, members)
    nothing_is_air, count, decisions = run(image, RANDOM, replace(sliding, policy=FullPolicy(AirRule((-100.0,)))), members)
    assert torch.equal(plain, nothing_is_air)
    assert replace(count, network_seconds=0) == replace(plain_count, network_seconds=0)
    everything, count, decisions = run(image, RANDOM, replace(sliding, policy=replace(COARSE, budget=1.0)), members)
    assert set(decisions.values()) == {"full"} and count.full == plain_count.full
    assert torch.allclose(everything, plain, atol=1e-5)  # the same windows in another order


def test_nothing_looked_at_is_background() -> None:
    image = spheres((30, 20, 50), 3)
    values, count, _ = run(image, STEPS, SlidingWindow(PATCH, policy=FullPolicy(AirRule((2.0,)))))
    assert (values == 0).all() and values.argmax(0).max() == 0
    assert count.full == count.forward_passes == count.multiply_adds == 0 and count.skip == 3 * 2 * 3


@settings(max_examples=6)
@given(SHAPES, st.integers(0, 1000), st.sampled_from([0.0, 0.5]), st.integers(1, 3))
def test_air_is_skipped_and_every_other_voxel_keeps_its_values_bit_for_bit(
    shape: tuple, seed: int, overlap: float, batch_size: int
) -> None:
    """Bit for bit: so whatever the network, only voxels that are air by the card's rule can change."""
    random, is_object = np.random.default_rng(seed), spheres(shape, seed) > 0
    image = np.where(is_object, random.uniform(0, 3, is_object.shape), random.uniform(-3, -1, is_object.shape)).astype(
        np.float32
    )
    sliding = SlidingWindow(PATCH, overlap, batch_size=batch_size)
    plain, _, _ = run(image, RANDOM, sliding)
    values, count, decisions = run(image, RANDOM, replace(sliding, policy=FullPolicy(AirRule((-0.5,)))))
    assert torch.equal(values[:, is_object[0]], plain[:, is_object[0]])
    if all(n >= p for n, p in zip(shape, PATCH, strict=True)):
        for box in boxes(decisions, "full"):
            assert is_object[0][box].any()  # recall of skipping: nothing that is only air is looked at
        assert not any(is_object[0][box].any() for box in boxes(decisions, "skip"))  # and its precision
        assert count.skip + count.full == len(decisions)


@settings(max_examples=4)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.6]), st.integers(1, 2))
def test_a_lower_budget_never_costs_more_and_never_skips_what_was_found(seed: int, overlap: float, members: int) -> None:
    image, costs = spheres((40, 24, 70), seed), []
    for budget in (0.0, 0.2, 0.45, 0.8, 1.0):
        sliding = SlidingWindow(PATCH, overlap, policy=replace(COARSE, budget=budget))
        values, count, decisions = run(image, STEPS, sliding, members)
        costs.append((count.multiply_adds, count.full + count.crop))
        assert np.array_equal(values.argmax(0).numpy() == 1, image[0] > 0)  # each voxel was looked at
        found = np.argwhere(image[0] > 0)
        for window, decision in decisions.items():
            low, high = np.array(window.start_kji), np.add(window.start_kji, PATCH)
            near = found[((found >= low - COARSE.margin_kji) & (found < high + COARSE.margin_kji)).all(axis=1)]
            assert decision != "skip" or not len(near)
            if isinstance(decision, Crop):  # what lies in the window lies in the part of it that is looked at
                inside = near[((near >= low) & (near < high)).all(axis=1)] - low - decision.offset_kji
                assert ((inside >= 0) & (inside < decision.size_kji)).all()
                assert budget < 0.5 and not np.any(np.array(decision.size_kji) % 16)
        assert count.multiply_adds == members * sum(
            prod(PATCH) if d == "full" else prod(d.size_kji) for d in decisions.values() if d != "skip"
        )
        assert count.full + count.crop >= members * sliding.policy.fewest(sliding.grid((40, 24, 70)))
    assert costs == sorted(costs) and [windows for _, windows in costs] == sorted(windows for _, windows in costs)
    assert costs[-1] == (members * len(decisions) * prod(PATCH), members * len(decisions))


def test_a_budget_goes_to_the_windows_in_which_something_was_nearly_found() -> None:
    """Where something lies below the threshold, it is looked at before places where nothing is."""
    image = np.zeros((1, 16, 16, 256), dtype=np.float32)
    image[0, :, :, 196:204] = 0.4
    sliding = SlidingWindow(PATCH, 0.75, policy=replace(COARSE, budget=0.5, margin_kji=(0, 0, 0)))
    _, count, decisions = run(image, STEPS, sliding)
    assert count.full == -(-len(decisions) // 2)
    cover = set(sliding.grid(image.shape[1:]).covering_kji[2])
    extra = [
        window.start_kji[2] for window, decision in decisions.items() if decision == "full" and window.start_kji[2] not in cover
    ]
    near = [start for start in window_starts(256, 32, 0.75) if start < 204 and start + 32 > 196 and start not in cover]
    assert set(near) <= set(extra)


def test_a_part_is_pasted_where_it_was_cut_out_for_a_hundred_boxes() -> None:
    """With the axes of the paste exchanged, as in Med-DANet V2's code, masks would lie in the wrong place."""
    random = np.random.default_rng(0)
    for _ in range(100):
        shape = tuple(int(n) + 16 for n in random.integers(0, 9, 3))
        start, patch = tuple(int(random.integers(0, n - 15)) for n in shape), (16, 16, 16)
        offset = tuple(int(n) for n in random.integers(0, 15, 3))
        size = tuple(int(random.integers(1, 17 - o)) for o in offset)
        values = torch.from_numpy(random.normal(size=(2, *shape)).astype(np.float32))
        box = tuple(slice(s + o, s + o + n) for s, o, n in zip(start, offset, size, strict=True))
        with RunningSum(2, shape, patch, "cpu", planes_ahead=shape[0]) as sums:
            sums.add(start, values[(slice(None), *box)], offset)
            pasted = torch.cat([part for _, part in sums.finish_before(shape[0])], dim=1)
        assert torch.allclose(pasted[(slice(None), *box)], values[(slice(None), *box)], atol=1e-5)
        pasted[(slice(None), *box)] = 0
        assert (pasted == 0).all()


def test_counted_multiply_adds_are_those_that_hooks_count() -> None:
    network, total = MedNeXt(MedNeXtConfig(2, 3, block_counts=(1,) * 9, base_channels=4)).eval(), 0

    def hook(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        voxels = inputs[0][0, 0].numel() if isinstance(module, torch.nn.ConvTranspose3d) else output[0, 0].numel()
        total += voxels * module.weight.numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv3d, torch.nn.ConvTranspose3d)):
            module.register_forward_hook(hook)
    with torch.no_grad():
        network(torch.zeros(1, 2, 16, 32, 16))
    assert multiply_adds(lambda: MedNeXt(network.config), (1, 2, 16, 32, 16)) == total > 0
