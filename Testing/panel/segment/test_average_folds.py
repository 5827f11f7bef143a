"""Whether *average all of them* can be chosen depends on all networks of a model, those of its parts too."""

from pathlib import Path

import pytest
from tiny_models import copy_with

from mednextseg.machine import HOME_VARIABLE
from mednextseg.models.library import sha256_of
from mednextseg.models.model_card import card_from_dict, read_card, write_card
from panel_tools import addVolume
from panel_without_worker import choose


def test_several_networks_can_only_be_averaged_where_one_part_has_several(
    panel, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, folds in (("parts", 1), ("folds", 2)):
        package = copy_with(library / "models" / "tiny", tmp_path / "models" / name, id=name)
        for number in range(2):
            part = package / f"part-{number}"
            copy_with(
                library / "models" / "tiny", part, weights_sha256=read_card(package).weights_sha256 * (folds if number else 1)
            )
        digests = [sha256_of(package / f"part-{number}" / "card.json") for number in range(2)]
        raw = {**read_card(package).to_dict(), "parts": ["part-0", "part-1"], "weights_sha256": digests}
        write_card(card_from_dict(raw), package)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    panel.reloadModels()
    choose(panel, addVolume(), "parts")
    assert not panel.ui.ensembleCheckBox.enabled
    choose(panel, panel._parameterNode.inputVolume, "folds")
    assert panel.ui.ensembleCheckBox.enabled
