"""A run whose image, sums and labels stay on a graphics card gives the labels of one in main memory.

There is no card here: "cpu:0" is a device that the engine takes for one, because it is not called "cpu".
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment import auto_segmenter, run_plan
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.finish import label_reduction_on_device
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.finish.label_reduction_on_device import LabelReductionOnDevice
from mednextseg.segment.prepare.resampling import resize, resize_planes
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows import memory_plan

CARD = "cpu:0"
KINDS = {
    "softmax": {"activation": "softmax"},
    "sigmoid": {"activation": "sigmoid", "threshold": 0.1},
    "layers": {"activation": "sigmoid", "labels_overlap": True},
}


@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.integers(1, 12)] * 3),
    st.sampled_from([2, 3, 9, 17]),
    st.integers(1, 4),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([None, 0, 1, 2, "lines"]),
    st.sampled_from([1, 256_000_000]),
)
def test_labels_are_those_of_main_memory(
    network: tuple, target: tuple, classes: int, chunk: int, kind: str, how: int | str | None, at_once: int
) -> None:
    values = torch.from_numpy(np.random.default_rng(classes).normal(size=(classes, *network)).astype(np.float32))
    numbers = [0, *range(3, classes + 2)] if kind == "softmax" else list(range(3, classes + 3))
    lines = [(0.25, 0.5 * n / m) for n, m in zip(network, target, strict=True)]
    options = {"lines_kji": lines} if how == "lines" else {"nearest_axis": how}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_reduction_on_device, "_BYTES_AT_ONCE", at_once)
        here, there = (
            reduction(network, target, numbers, **KINDS[kind], **options)
            for reduction in (LabelReduction, LabelReductionOnDevice)
        )
        for k in range(0, network[0], chunk):
            here.add(k, values[:, k : k + chunk])
            there.add(k, values[:, k : k + chunk])
    assert there.labelmap_kji.dtype == here.labelmap_kji.dtype
    # Random values are hardly ever equal to the last bits, and then in single voxels.
    assert (there.labelmap_kji != here.labelmap_kji).sum() <= 1


@given(st.tuples(*[st.integers(3, 40)] * 3), st.tuples(*[st.integers(3, 40)] * 3), st.booleans())
def test_images_are_resampled_alike(shape: tuple, target: tuple, clip: bool) -> None:
    volume = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    there = np.empty(target, np.float32)
    resize_planes(lambda planes: volume[planes], shape, there, clip=clip, device=CARD)
    np.testing.assert_allclose(there, resize(volume, target, clip=clip), atol=1e-5)


@pytest.fixture
def volume_kji() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 24, 40)).astype(np.float32)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_segmenter, "resolve_device", lambda device: CARD if device == "auto" else device)


GRID = Geometry((40, 24, 40), np.diag([1.0, 1.1, 0.8, 1.0]))


def test_a_whole_run_gives_the_same_labels(card: None, tiny_model: LoadedModel, volume_kji: np.ndarray) -> None:
    expected, _ = segment(volume_kji, GRID, tiny_model, device="cpu")
    found, report = segment(volume_kji, GRID, tiny_model)
    assert report.device == CARD and not report.notes
    assert (found == expected).mean() > 0.9999 and len(np.unique(found)) == 3


@pytest.mark.parametrize(("free", "notes"), [(10**12, 0), (1000, 1)])
def test_sums_that_a_card_has_no_room_for_are_planned_in_main_memory(
    card: None,
    free: int,
    notes: int,
    tiny_model: LoadedModel,
    volume_kji: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_plan, "free_on", lambda device: free)
    found, report = segment(volume_kji, GRID, tiny_model)
    assert report.device == CARD and len(report.notes) == notes
    assert all("added up in main memory" in note for note in report.notes)
    assert (found == segment(volume_kji, GRID, tiny_model, device="cpu")[0]).mean() > 0.9999


def test_the_memory_that_is_predicted_is_the_card_s(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_plan, "resolve_device", lambda device: CARD)
    here = run_plan.plan_run(GRID, tiny_model, None, SegmentRecipe(), "auto")  # tells nothing, as Apple's does
    monkeypatch.setattr(memory_plan, "free_on", lambda device: 123_000_000)
    there = run_plan.plan_run(GRID, tiny_model, None, SegmentRecipe(), "auto")
    assert there.device == CARD and there.available_bytes == 123_000_000 < here.available_bytes
    assert 0 < there.memory_bytes < here.memory_bytes, "without Python and PyTorch"


def test_a_card_that_runs_out_of_memory_leaves_the_run_to_the_processor(
    card: None, tiny_model: LoadedModel, volume_kji: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: LabelReductionOnDevice, k_start: int, values: torch.Tensor) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(LabelReductionOnDevice, "add", full)
    found, report = segment(volume_kji, GRID, tiny_model)
    assert report.device == CARD and "added up in main memory" in report.notes[0]
    assert np.array_equal(found, segment(volume_kji, GRID, tiny_model, device="cpu")[0])
