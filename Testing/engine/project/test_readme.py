"""What the README shows can be typed as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.commands.parser import parsed
from mednextseg.geometry import Geometry
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.model_card import read_card
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
OPTIONS = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)))


def commands() -> Iterator[list[str]]:
    """The words of every command line; "models list | show ID" stands for several."""
    for line in re.findall(r"^    mednextseg (.*)$", README, re.MULTILINE):
        words = line.partition("#")[0]
        first = words.split()[0]
        for choice in words.removeprefix(first).split("|"):
            yield [first, *choice.split()]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_is_understood(words: list[str]) -> None:
    assert callable(parsed(words).run)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_known(option: str, capsys: pytest.CaptureFixture) -> None:
    helps = []
    for command in ("segment", "refine", "evaluate", "adapt", "train"):
        with pytest.raises(SystemExit):
            parsed([command, "--help"])
        helps.append(capsys.readouterr().out)
    assert any(option in text for text in helps)


def test_the_python_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = re.search(r"\*\*Python without Slicer\*\*.*?```python\n(.*?)```", README, re.DOTALL)[1]
    grid = Geometry((18, 17, 20), np.eye(4))
    write_image(
        image_of(np.random.default_rng(0).normal(size=grid.shape_kji).astype(np.float32), grid), tmp_path / "head.nii.gz"
    )
    package = write_package(tmp_path / "tiny", tiny_mednext(), ("left", "right"))
    monkeypatch.chdir(tmp_path)
    exec(lines.replace('"brain-mr"', repr(str(package))), {})
    assert [label.name for label in read_segmentation(tmp_path / "head.seg.nrrd").labels] == ["left", "right"]


def test_bundled_models_have_the_licenses_that_it_names() -> None:
    sentence = README.partition("the bundled models ")[2].partition(".\n")[0].replace(" 4.0", "-4.0").replace(" 3.0", "-3.0")
    for folder in bundled_models_folder().iterdir():
        card = read_card(folder)
        after = sentence.partition(f"`{card.id}`")[2]
        assert re.search(r"CC-BY-SA-\d\.\d|MIT", after)[0] == card.weights_license
