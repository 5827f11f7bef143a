"""Settings are found where they were planted, judged on cases they were not chosen on, and packaged so that every run has them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from ball_cases import GEOMETRY, SHAPE, write_balls, write_bright
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.adapt.tuning.settings.search import search
from mednextseg.cli import main
from mednextseg.models.model_card import read_card
from mednextseg.models.weights import read_safetensors
from mednextseg.volume_io import image_of, read_volume, write_image


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.integers(0, 16), st.integers(0, 4), st.integers(0, 1)), st.integers(0, 1000))
def test_a_planted_optimum_is_found_and_nothing_is_asked_twice(peak: tuple[int, int, int], seed: int) -> None:
    grids = {"threshold": range(17), "part": range(5), "views": (False, True)}
    asked = []

    def reward(at: dict) -> float:
        asked.append(tuple(at.values()))
        return -sum(abs(int(value) - best) for value, best in zip(at.values(), peak, strict=True))

    start = {"threshold": 8, "part": 0, "views": False}
    _found, value = search(grids, start, reward, seed)
    assert len(asked) == len(set(asked)) and asked[0] == tuple(start.values())
    assert value == max(-sum(abs(int(v) - best) for v, best in zip(at, peak, strict=True)) for at in asked)
    assert value >= -2 and len(asked) <= 97


def test_where_nothing_is_better_nothing_changes() -> None:
    start = {"a": 2, "b": 1}
    assert search({"a": range(5), "b": range(3)}, start, lambda at: 0.5) == (start, 0.5)


def test_the_command_moves_the_threshold_and_measures_it_on_other_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Balls with a rim that the base takes for ball at a threshold of a half, and would not at 0.7."""
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    base = write_bright(tmp_path / "home" / "models" / "bright")
    dataset = write_balls(tmp_path / "cases")
    for file in sorted((dataset / "labelsTr").iterdir()):
        mask, _ = read_volume(file)
        volume = np.where(mask > 0, 25.0, 0.0) + np.where(ball(SHAPE, np.argwhere(mask > 0).mean(axis=0), (3, 3, 4)), 75.0, 0.0)
        volume += np.random.default_rng(1).normal(0, 1, SHAPE)
        write_image(
            image_of(volume.astype(np.float32), GEOMETRY),
            dataset / "imagesTr" / file.name.replace(".nii.gz", "_0000.nii.gz"),
        )
        write_image(image_of(ball(SHAPE, np.argwhere(mask > 0).mean(axis=0), (3, 3, 4)).astype(np.uint8), GEOMETRY), file)
    assert (
        main(["adapt", "--model", "bright", "--dataset", str(dataset), "-o", str(tmp_path / "run"), "--auto-tune", "--json"])
        == 0
    )
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["steps"] == 0 and outcome["cases"] == ["case0", "case1", "case2"]
    change = outcome["rows"][0]["change"]["dice"]["mean"]
    assert outcome["accepted"] == (change > 0) and change > 0.01
    card = read_card(tmp_path / "run" / "package")
    own = read_safetensors(tmp_path / "run" / "package" / "weights.safetensors")
    shift = float(own["out_0.conv_out.bias"][0] - read_safetensors(base / "weights.safetensors")["out_0.conv_out.bias"][0])
    assert shift >= math.log(0.7 / 0.3) - 1e-4
    assert card.base.is_needed and set(own) == {"out_0.conv_out.weight", "out_0.conv_out.bias"}
    assert card.extra["adapted"]["method"] == "settings" and 0 <= card.overlap < 1
