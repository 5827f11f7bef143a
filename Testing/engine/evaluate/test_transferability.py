"""CCFV: Wasserstein distances against closed forms, what raises and lowers the score, and hooks that see every window."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from tiny_models import tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.evaluate.compare.ranking import case_features, rank_models, sample_features
from mednextseg.evaluate.compare.taps import FeatureTaps, decoder_stages
from mednextseg.evaluate.compare.transferability import (
    CaseFeatures,
    hyperspherical_energy,
    transferability,
    wasserstein2,
)
from mednextseg.geometry import Geometry, axis_map
from mednextseg.labels.label import Label
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.networks.stu_net import STUNet, STUNetConfig
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.windows.layout import WindowGrid
from mednextseg.segmentation_io import Segmentation
from mednextseg.volume_io import image_of, write_image


@given(seed=st.integers(0, 1000), channels=st.integers(1, 12), sizes=st.tuples(st.integers(13, 60), st.integers(13, 60)))
@settings(max_examples=15, deadline=None)
def test_the_nuclear_norm_gives_the_same_distance_as_matrix_square_roots(seed: int, channels: int, sizes: tuple) -> None:
    random = np.random.default_rng(seed)
    first, second = (random.normal(size=(n, channels)) @ random.normal(size=(channels, channels)) for n in sizes)
    covariances = [np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (first, second)]
    root = sqrtm(covariances[0])
    cross = np.trace(np.real(sqrtm(root @ covariances[1] @ root)))
    squared = ((first.mean(0) - second.mean(0)) ** 2).sum() + sum(np.trace(c) for c in covariances) - 2 * cross
    assert wasserstein2(first, second) == pytest.approx(np.sqrt(max(squared, 0)), rel=1e-5, abs=1e-5)


def test_the_distance_of_two_known_gaussians_is_the_analytic_one() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(200_000, 2))
    second = random.normal(size=(200_000, 2)) * (2, 3) + (1, 0)
    assert wasserstein2(first, second) == pytest.approx(np.sqrt(1 + 1 + 4), rel=0.01)  # |mean|² + (2-1)² + (3-1)²


def test_the_energy_of_known_points_is_the_analytic_one_and_falls_as_they_spread() -> None:
    assert hyperspherical_energy(np.array([[1.0, 0.0], [-3.0, 0.0]])) == pytest.approx(0.5)
    triangle = np.array([[np.cos(a), np.sin(a)] for a in (0, 2 * np.pi / 3, 4 * np.pi / 3)])
    assert hyperspherical_energy(triangle * 5) == pytest.approx(1 / np.sqrt(3))
    random = np.random.default_rng(0)
    spread, tight = random.normal(size=(60, 8)), 10 + random.normal(size=(60, 8))
    assert hyperspherical_energy(spread) < hyperspherical_energy(tight), "trap: collapsed features must not be rewarded"


def clouds(apart: float = 1.0, spread: float = 1.0, scale: float = 1.0, seed: int = 0, cases: int = 4) -> list[CaseFeatures]:
    """Two classes in one stage; `apart` moves the cases' clouds, `spread` the features anywhere."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(cases):
        moved = apart * random.normal(size=6)
        by_class = {name: [scale * (3 * n + moved + 0.3 * random.normal(size=(80, 6)))] for n, name in enumerate("ab")}
        found.append(CaseFeatures(by_class, [scale * (4 + spread * random.normal(size=(100, 6)))]))
    return found


def test_the_score_rises_when_a_class_looks_alike_in_every_case_and_when_features_vary() -> None:
    scores = [transferability(clouds(apart=apart)).score for apart in (2.0, 1.0, 0.3)]
    assert scores == sorted(scores)
    scores = [transferability(clouds(spread=spread)).score for spread in (0.3, 1.0, 3.0)]
    assert scores == sorted(scores)


def test_a_network_that_only_outputs_smaller_numbers_scores_the_same() -> None:
    assert transferability(clouds(scale=0.01)).score == pytest.approx(transferability(clouds()).score)


def test_distances_are_averaged_over_pairs_not_compounded() -> None:
    cases = clouds(cases=3)
    result = transferability(cases)
    size = np.sqrt(np.mean([np.mean(case.anywhere[0] ** 2) for case in cases]))
    pairs = [
        wasserstein2(cases[i].by_class[name][0] / size, cases[j].by_class[name][0] / size)
        for name in "ab"
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert result.consistency[0] == pytest.approx(np.mean(pairs))
    assert result.low <= result.score <= result.high


def test_too_few_cases_and_no_common_structure_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two labeled cases"):
        transferability(clouds(cases=1))
    first, second = clouds(cases=2)
    lonely = [
        CaseFeatures({"a": first.by_class["a"]}, first.anywhere),
        CaseFeatures({"b": second.by_class["b"]}, second.anywhere),
    ]
    with pytest.raises(ValueError, match="no structure"):
        transferability(lonely)


class CountingMedNeXt(MedNeXt):
    """Counts its forward passes."""

    passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return super().forward(x)


def test_every_window_is_seen_once_and_a_voxel_gets_the_features_of_its_own_window() -> None:
    torch.manual_seed(0)
    network = CountingMedNeXt(MedNeXtConfig(1, 2, block_counts=(1,) * 9, base_channels=4)).eval()
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 96)).astype(np.float32)
    windows = WindowGrid.laid(image.shape[1:], (16, 16, 32), 0.0).windows
    voxels = np.array([[3, 4, 5], [3, 4, 37], [3, 4, 69], [15, 15, 95], [0, 0, 0]])
    stages = sample_features(network, image, windows, (16, 16, 32), voxels)
    assert network.passes == len(windows) == 3
    assert [stage.shape for stage in stages] == [(5, 32), (5, 16), (5, 8), (5, 4)]
    with FeatureTaps(decoder_stages(network)) as taps, torch.inference_mode():
        network(torch.from_numpy(image[None, ..., 32:64].copy()))
        assert taps.calls == dict.fromkeys(taps.calls, 1)
        np.testing.assert_allclose(stages[3][1], taps.features["dec_block_0"][0, :, 3, 4, 5], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stages[1][1], taps.features["dec_block_2"][0, :, 0, 1, 1], rtol=1e-4, atol=1e-5)
    assert all(not module._forward_hooks for module in decoder_stages(network).values())


def test_a_stu_net_has_decoder_stages_and_anything_else_is_refused() -> None:
    network = STUNet(STUNetConfig(1, 2, widths=(4, 8, 8, 8, 8, 8)))
    assert len(decoder_stages(network)) == 5
    with pytest.raises(ValueError, match="decoder stages of Conv3d"):
        decoder_stages(torch.nn.Conv3d(1, 1, 1))


def patient(seed: int) -> tuple[np.ndarray, Geometry, Segmentation]:
    """A bright and a dim ball in noise: the task is to tell them apart."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in (16, 16, 32)], indexing="ij"), axis=-1)
    labelmap = np.zeros((16, 16, 32), dtype=np.uint8)
    for value, column in ((1, 8), (2, 24)):
        center = np.array([8, 8, column]) + random.integers(-2, 3, 3)
        labelmap[((grid - center) ** 2).sum(-1) <= 16] = value
    image = np.array([0.0, 1.0, 2.0])[labelmap] + random.normal(0, 0.2, labelmap.shape)
    geometry = Geometry(labelmap.shape, np.eye(4))
    return (
        image.astype(np.float32),
        geometry,
        Segmentation(labelmap, geometry, (Label(1, "dim", (0,) * 3), Label(2, "bright", (0,) * 3))),
    )


def trained(steps: int) -> MedNeXt:
    torch.manual_seed(0)
    network = MedNeXt(MedNeXtConfig(1, 3, block_counts=(1,) * 9, base_channels=4))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(steps):
        image, _, labels = patient(100 + step % 8)
        scaled = torch.from_numpy((image - image.mean()) / image.std())[None, None]
        loss = torch.nn.functional.cross_entropy(network(scaled), torch.from_numpy(labels.labelmap_kji)[None].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def test_a_model_trained_on_the_same_task_outranks_a_random_one_whatever_voxels_are_drawn(tmp_path: Path) -> None:

    models = [
        load_model(write_package(tmp_path / name, trained(steps), ("dim", "bright")))
        for name, steps in (("random", 0), ("trained", 25))
    ]
    cases = [patient(seed) for seed in range(3)]
    scores = rank_models(models, cases, seed=0)
    assert list(scores) == ["trained", "random"]
    assert scores["trained"].classes == ("dim", "bright")
    again = rank_models(models, cases, seed=1)
    for name, score in scores.items():
        assert abs(again[name].score - score.score) < 0.5 * abs(scores["trained"].score - scores["random"].score)


def test_two_states_of_one_model_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folders = [
        write_package(tmp_path / name, tiny_mednext(seed=n), ("dim", "bright"), id="same") for n, name in enumerate("ab")
    ]
    scores = rank_models([load_model(folder) for folder in folders], [patient(seed) for seed in range(2)])
    assert set(scores) == {f"same in {folder}" for folder in folders}


def test_features_follow_the_labels_through_turned_axes(tiny_model: LoadedModel) -> None:
    volume, geometry, labels = patient(3)
    turn = axis_map("RAS", "PIL")
    turned = turn.apply_geometry(geometry)
    moved = Segmentation(turn.apply(labels.labelmap_kji), turned, labels.labels)
    plain, again = (
        case_features(tiny_model, *case) for case in ((volume, geometry, labels), (turn.apply(volume), turned, moved))
    )
    for name in ("dim", "bright"):
        np.testing.assert_allclose(plain.by_class[name][3], again.by_class[name][3], atol=1e-4)


def test_the_command_ranks_models_on_folders_of_cases(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for seed in range(3):
        volume, geometry, labels = patient(seed)
        write_image(image_of(volume, geometry), tmp_path / "images" / f"case{seed}_0000.nii.gz")
        write_image(image_of(labels.labelmap_kji, geometry), tmp_path / "labels" / f"case{seed}.nii.gz")
    folders = [write_package(tmp_path / name, tiny_mednext(seed=seed), ("dim", "bright")) for seed, name in enumerate("ab")]
    where = ["--images", str(tmp_path / "images"), "--reference", str(tmp_path / "labels"), "-o", str(tmp_path / "out")]
    assert main(["evaluate", "--rank", *map(str, folders), *where, "--json", "--device", "cpu"]) == 0
    ranking = json.loads(capsys.readouterr().out)
    expected = rank_models([load_model(folder) for folder in folders], [patient(seed) for seed in range(3)])
    assert ranking["cases"] == ["case0", "case1", "case2"]
    assert list(ranking["ranking"]) == list(expected)
    for name, score in expected.items():
        assert ranking["ranking"][name]["score"] == pytest.approx(score.score, rel=1e-3)
    assert json.loads((tmp_path / "out" / "ranking.json").read_text(encoding="utf-8")) == ranking
    assert main(["evaluate", "--rank", str(folders[0]), *where, "--cases", "case0,case9"]) != 0
    assert "no image or no reference is there for: case9" in capsys.readouterr().err


@pytest.mark.parametrize(("padding", "mode"), [("edge", "edge"), ("zero", "constant")])
def test_small_volumes_are_padded_as_the_card_says(tmp_path: Path, padding: str, mode: str) -> None:
    network = tiny_mednext()
    model = load_model(write_package(tmp_path / "model", network, ("left", "right"), padding=padding))
    volume = np.random.default_rng(0).normal(5, 1, (10, 12, 20)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    labelmap = np.zeros(volume.shape, np.uint8)
    labelmap[1, 2, 3] = 1
    found = case_features(model, volume, geometry, Segmentation(labelmap, geometry, (Label(1, "dot", (0,) * 3),)))
    image_ckji = prepare(volume[None], geometry, model.card).image_ckji
    turned = prepare(labelmap[None], geometry, model.card).image_ckji[0]
    missing = [patch - n for patch, n in zip(model.card.patch_size_kji, image_ckji.shape[1:], strict=True)]
    padded = np.pad(image_ckji, [(0, 0), *((m // 2, m - m // 2) for m in missing)], mode=mode)
    place = np.unravel_index(turned.argmax(), turned.shape) + np.array([m // 2 for m in missing])
    with FeatureTaps(decoder_stages(network)) as taps, torch.inference_mode():
        network(torch.from_numpy(padded)[None])
        expected = taps.features["dec_block_0"][(0, slice(None), *place)].numpy()
    np.testing.assert_allclose(found.by_class["dot"][3][0], expected, rtol=1e-4, atol=1e-5)
