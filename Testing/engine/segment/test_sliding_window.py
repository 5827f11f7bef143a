"""Windows, weights, slabs and their reduction give what a plain whole-volume computation gives."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from tiny_models import tiny_mednext

from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.windows.layout import window_starts
from mednextseg.segment.windows.mirrored_views import mirror_views
from mednextseg.segment.windows.running_sum import gaussian_weights
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs


def predict_whole(image: np.ndarray, networks: list, num_outputs: int, sliding: SlidingWindow) -> torch.Tensor:
    slabs = list(predict_slabs(image, [lambda n=n: n for n in networks], num_outputs, sliding, WindowCount()))
    assert [k for k, _ in slabs] == list(np.cumsum([0] + [values.shape[1] for _, values in slabs[:-1]]))
    return torch.cat([values for _, values in slabs], dim=1)


def reference(image: np.ndarray, network: torch.nn.Module, num_outputs: int, sliding: SlidingWindow) -> torch.Tensor:
    """Every window into one full-size sum, as nnU-Net does it."""
    weights = gaussian_weights(sliding.patch_kji)
    total = torch.zeros(num_outputs, *image.shape[1:], dtype=torch.float64)
    norm = torch.zeros(image.shape[1:], dtype=torch.float64)
    starts = [window_starts(n, p, sliding.overlap) for n, p in zip(image.shape[1:], sliding.patch_kji, strict=True)]
    for k in starts[0]:
        for j in starts[1]:
            for i in starts[2]:
                part = tuple(slice(s, s + p) for s, p in zip((k, j, i), sliding.patch_kji, strict=True))
                with torch.no_grad():
                    values = network(torch.from_numpy(np.ascontiguousarray(image[(slice(None), *part)]))[None])[0]
                total[(slice(None), *part)] += values * weights
                norm[part] += weights
    return total / norm


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
@pytest.mark.parametrize("sum_on", ["cpu", "disk"])
def test_slabs_equal_the_whole_volume_computation(overlap: float, sum_on: str) -> None:
    network = tiny_mednext()
    image = np.random.default_rng(0).normal(size=(1, 41, 20, 45)).astype(np.float32)
    sliding = SlidingWindow((16, 16, 32), overlap, sum_on=sum_on, batch_size=3)
    whole = predict_whole(image, [network], 3, sliding)
    assert torch.allclose(whole, reference(image, network, 3, sliding).float(), atol=1e-4)


def test_mirroring_averages_the_mirror_images() -> None:
    network = tiny_mednext()
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 32)).astype(np.float32)
    mirrored = predict_whole(image, [network], 3, SlidingWindow((16, 16, 32), views=mirror_views((0, 2))))
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        expected = sum(network(x.flip(f)).flip(f) if f else network(x) for f in ([], [2], [4], [2, 4]))[0] / 4
    assert torch.allclose(mirrored, expected, atol=1e-5)


def test_an_ensemble_of_identical_networks_is_the_network() -> None:
    network = tiny_mednext()
    image = np.random.default_rng(0).normal(size=(1, 24, 16, 32)).astype(np.float32)
    sliding = SlidingWindow((16, 16, 32))
    alone = predict_whole(image, [network], 3, sliding)
    assert torch.allclose(alone, predict_whole(image, [network, network], 3, sliding), atol=1e-5)


def test_probabilities_are_averaged_where_asked_for() -> None:
    networks = [tiny_mednext(seed=0), tiny_mednext(seed=1)]
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 32)).astype(np.float32)
    values = predict_whole(image, networks, 3, SlidingWindow((16, 16, 32), average="probabilities"))
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        expected = sum(n(x).softmax(1) for n in networks)[0] / 2
    assert torch.allclose(values, expected, atol=1e-5)


def test_images_smaller_than_a_patch_are_padded_and_cut_back() -> None:
    image = np.random.default_rng(0).normal(size=(1, 10, 12, 20)).astype(np.float32)
    values = predict_whole(image, [tiny_mednext()], 3, SlidingWindow((16, 16, 32)))
    assert values.shape == (3, 10, 12, 20)
    assert torch.isfinite(values).all()


@given(st.integers(1, 300), st.integers(16, 64), st.floats(0, 0.9))
def test_windows_cover_the_axis_evenly(length: int, patch: int, overlap: float) -> None:
    length = max(length, patch)
    starts = window_starts(length, patch, overlap)
    assert starts[0] == 0 and starts[-1] == length - patch
    gaps = np.diff(starts)
    assert (gaps > 0).all() and (gaps <= np.ceil(patch * (1 - overlap)) + 1).all()


@pytest.mark.parametrize("patch", [(16, 16, 16), (32, 48, 24)])
def test_the_gaussian_is_nnunets(patch: tuple) -> None:
    unit = np.zeros(patch)
    unit[tuple(n // 2 for n in patch)] = 1
    expected = gaussian_filter(unit, [n / 8 for n in patch], mode="constant")
    assert np.abs(gaussian_weights(patch).numpy() - expected / expected.max()).max() < 1e-6


@given(
    st.tuples(*[st.integers(2, 9)] * 3),
    st.tuples(*[st.integers(2, 14)] * 3),
    st.integers(1, 4),
    st.sampled_from(["softmax", "sigmoid"]),
)
def test_streamed_labels_equal_resampling_everything_first(network: tuple, target: tuple, chunk: int, activation: str) -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(3, *network)).astype(np.float32))
    reduction = LabelReduction(network, target, [0, 5, 2], activation)
    for k in range(0, network[0], chunk):
        reduction.add(k, values[:, k : k + chunk])
    full = F.interpolate(values[None], size=target, mode="trilinear", align_corners=False)[0]
    if activation == "softmax":
        expected = np.array([0, 5, 2])[full.argmax(0).numpy()]
    else:
        expected = np.zeros(target, dtype=int)
        for channel, value in enumerate([0, 5, 2]):
            expected[full[channel].numpy() > 0] = value
    near_tie = (full.topk(2, dim=0).values.diff(dim=0).abs() < 1e-5)[0] | (full.abs() < 1e-5).any(0)
    assert np.array_equal(reduction.labelmap_kji[~near_tie.numpy()], expected[~near_tie.numpy()])


def test_more_than_255_labels_do_not_overflow() -> None:
    values = torch.zeros(2, 2, 2, 2)
    values[1] = 1
    reduction = LabelReduction((2, 2, 2), (2, 2, 2), [0, 300])
    reduction.add(0, values)
    assert reduction.labelmap_kji.dtype == np.int16 and (reduction.labelmap_kji == 300).all()


MANY_LABELS = """
import resource, sys
import numpy as np, torch
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.windows.sliding_window import SlidingWindow, WindowCount, predict_slabs

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
labels, shape = 100, (192, 96, 96)
volume = np.random.default_rng(0).integers(0, labels, shape).astype(np.float32)
classes = torch.arange(labels).reshape(1, -1, 1, 1, 1)
network = lambda x: -(x - classes).abs()
reduction = LabelReduction(shape, shape, range(labels))
for k, values in predict_slabs(volume[None], [lambda: network], labels, SlidingWindow((32, 48, 48), overlap=0.0), WindowCount()):
    reduction.add(k, values)
assert np.array_equal(reduction.labelmap_kji, volume.astype(np.uint8))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_a_hundred_labels_need_one_slab_of_memory_and_not_the_volume() -> None:
    pytest.importorskip("resource", reason="this system does not tell a process its peak memory")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", MANY_LABELS], capture_output=True, text=True, check=True, env=environment)
    whole_volume_bytes = 4 * 100 * 192 * 96 * 96  # 0.7 GB
    assert int(run.stdout) < whole_volume_bytes / 2
