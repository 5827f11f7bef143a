"""The module's logic over a library of two tiny models, with the engine in this process."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import copy_with, tiny_mednext, write_package
from two_balls import SIDES, write_chain

from mednextseg.machine import HOME_VARIABLE
from mednextseg.models.model_card import card_from_dict, read_card, write_card

LEFT_CODE = {"category": ["SCT", "123037004", "Anatomical Structure"], "type": ["SCT", "5366008", "Hippocampus"]}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model library with a tiny model of one channel, and one of two channels."""
    home = tmp_path_factory.mktemp("home")
    codes = [
        {"value": 1, "name": "left", "color": [230, 90, 70], "terminology": LEFT_CODE},
        {"value": 2, "name": "right", "color": [70, 140, 220]},
    ]
    folder = write_package(home / "models" / "tiny", tiny_mednext(), ("left", "right"))
    card = read_card(folder).to_dict()
    write_card(card_from_dict({**card, "labels": codes}), folder)
    channels = [{"name": n, "modality": "MR", "normalization": {"scheme": "zscore"}} for n in ("T1", "FLAIR")]
    write_package(home / "models" / "two", tiny_mednext(in_channels=2), ("left", "right"), channels=channels)
    folder = write_package(home / "models" / "boxed", tiny_mednext(), ("left", "right"))
    write_card(replace(read_card(folder), needs_region=True), folder)
    write_chain(home / "models")
    copy_with(home / "models" / "fine", home / "models" / "orphan", id="orphan", region_from={**SIDES, "model": "elsewhere"})
    return home


@pytest.fixture
def logic(host, library: Path, monkeypatch: pytest.MonkeyPatch):
    from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine
    from panel_tools import MODULE

    monkeypatch.setenv(HOME_VARIABLE, str(library))
    host.load_module(str(MODULE))
    import MedNeXtSegment

    logic = MedNeXtSegment.MedNeXtSegmentLogic(InProcessEngine())
    yield logic
    logic.close()
