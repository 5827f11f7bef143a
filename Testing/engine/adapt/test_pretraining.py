"""Pre-training on volumes without labels: the loss by frequency, what is hidden, and the way into an adaptation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cases import SHAPE, write_balls, write_bright
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_mednext

from mednextseg.adapt.pretraining.focal_frequency import HIGH_FROM, LOW_TO, focal_frequency_loss, low_band
from mednextseg.adapt.pretraining.foreground_masking import foreground_on, hidden_voxels
from mednextseg.adapt.pretraining.pretrainer import Pretrainer
from mednextseg.adapt.pretraining.unlabeled import Unlabeled, unlabeled_volumes
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.models.model_card import card_from_dict, read_card
from mednextseg.networks.plug_ins.plug_in import FOR_TRAINING


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(2, 1, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_constant_offset_is_seen_by_the_low_band_alone(image: torch.Tensor) -> None:
    assert focal_frequency_loss(image, image) == 0
    low = low_band(SHAPE, LOW_TO)
    assert low[0, 0, 0] and not low_band(SHAPE, HIGH_FROM).all()
    assert focal_frequency_loss(image + 3, image, ~low_band(SHAPE, HIGH_FROM)) < 1e-12
    assert focal_frequency_loss(image + 3, image, low) == pytest.approx(9.0)


def test_all_frequencies_without_weights_are_the_mean_squared_error(image: torch.Tensor) -> None:
    other = image.flip(2) * 0.7
    assert focal_frequency_loss(other, image, is_focal=False) == pytest.approx(float(((other - image) ** 2).mean()))
    assert focal_frequency_loss(other, image) < focal_frequency_loss(other, image, is_focal=False)
    # Samples are judged apart: a worse one beside it changes nothing for the first.
    alone = focal_frequency_loss(other[:1], image[:1])
    beside = focal_frequency_loss(torch.cat([other[:1], 9 * other[1:]]), image)
    rest = focal_frequency_loss(9 * other[1:], image[1:])
    assert float(beside) == pytest.approx(float(alone + rest) / 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
def test_a_quarter_of_the_foreground_is_hidden_and_nothing_else(seed: int, share_of_body: float) -> None:
    draw = np.random.default_rng(seed)
    foreground_kji = draw.random(SHAPE) < share_of_body
    hidden = hidden_voxels(foreground_kji, draw)
    assert hidden.sum() == round(0.25 * foreground_kji.sum()) and not hidden[~foreground_kji].any()


def test_air_is_no_foreground(tmp_path: Path) -> None:
    raw = read_card(write_bright(tmp_path / "bright")).to_dict()
    geometry = Geometry(SHAPE, np.eye(4))
    values = np.full((1, *SHAPE), -1000.0, dtype=np.float32)
    values[0, 4:8] = -400.0
    values[0, 8:] = 0.0
    ct = card_from_dict({**raw, "channels": [{**raw["channels"][0], "modality": "CT"}]})
    for card, inside in ((ct, slice(4, None)), (card_from_dict(raw), slice(0, 8))):
        expected = np.zeros(SHAPE, dtype=bool)
        expected[inside] = True
        assert np.array_equal(foreground_on(values, geometry, card, geometry), expected)


def test_the_encoder_learns_and_a_stopped_pretraining_ends_as_one_that_was_not(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    volumes = [
        Unlabeled("a", draw.normal(size=(1, *SHAPE)).astype(np.float32), np.ones(SHAPE, dtype=bool), ""),
        Unlabeled("small", draw.normal(size=(1, 8, 16, 20)).astype(np.float32), np.ones((8, 16, 20), dtype=bool), ""),
    ]

    def trained(folder: str, *stops: int) -> dict[str, torch.Tensor]:
        def stop(step: int, steps: int, loss: float) -> None:
            if step in stops:
                raise KeyboardInterrupt

        trainer = Pretrainer(tiny_mednext(), volumes, (16, 16, 32), 2, tmp_path / folder, 0, on_step=stop)
        try:
            trainer.run()
        except KeyboardInterrupt:
            return trained(folder)
        return trainer.result.state_dict()

    whole, parts, start = trained("whole"), trained("parts", 1), tiny_mednext().state_dict()
    assert list(whole) == list(start) and not any(FOR_TRAINING in name for name in whole)
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    changed = {name for name, tensor in whole.items() if not torch.equal(tensor, start[name])}
    encoder = {name for name in start if name.startswith(("stem.", "enc_block_", "down_"))}
    assert {name for name in encoder if not name.endswith("conv1.bias")} <= changed  # which the norm behind it takes away
    assert not any(name.startswith(("out_", "dec_block_0")) for name in changed)
    with pytest.raises(ValueError, match="pre-training needs the stages of a MedNeXt"):
        Pretrainer(torch.nn.Identity(), volumes, (16, 16, 32), 1, tmp_path / "other", 0)


def test_an_adaptation_is_pretrained_on_what_it_is_not_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    write_bright(tmp_path / "home" / "models" / "bright")
    dataset, run = write_balls(tmp_path / "cases"), tmp_path / "run"
    command = ["adapt", "--model", "bright", "--dataset", str(dataset), "-o", str(run), "--steps", "1", "--held-out", "case2"]
    assert main([*command, "--pretrain", str(dataset / "imagesTr"), "--pretrain-steps", "1"]) == 0
    assert list(json.loads((run / "plan.json").read_text())["unlabeled"]) == ["case0", "case1"]
    assert json.loads((run / "pretraining" / "log.jsonl").read_text())["step"] == 1
    assert read_card(run / "package").training_data[-1]["name"] == "2 volumes of the user without labels"
    capsys.readouterr()
    assert main([*command, "--pretrain", str(dataset / "imagesTr")]) == 1
    assert "holds an adaptation with another steps of the pre-training" in capsys.readouterr().err
    assert main([*command, "--pretrain", str(dataset), "--method", "adapters"]) == 1
    assert "the method adapters keeps that of the base" in capsys.readouterr().err
    card = read_card(tmp_path / "home" / "models" / "bright")
    with pytest.raises(FileNotFoundError, match="give one with volumes to pre-train on"):
        unlabeled_volumes(tmp_path / "nowhere", card)
    (tmp_path / "one").mkdir()
    shutil.copy(dataset / "imagesTr" / "case2_0000.nii.gz", tmp_path / "one")
    digest = unlabeled_volumes(tmp_path / "one", card)[0].sha256
    with pytest.raises(ValueError, match="no volume to pre-train on that is not held out"):
        unlabeled_volumes(tmp_path / "one", card, {digest})
