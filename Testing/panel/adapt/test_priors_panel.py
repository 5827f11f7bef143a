"""Shape priors that a model has learned come into the scene as volumes, from the panel and from the console."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import torch
from tiny_models import write_package

from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.networks.plug_ins.shape_priors import ShapePriorsConfig
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with priors, one voxel of which is the largest."""
    config = ShapePriorsConfig((1, 2, 2))
    network = MedNeXt(MedNeXtConfig(1, 3, block_counts=(1,) * 9, base_channels=4, plug_ins=(config,)))
    with torch.no_grad():
        network.plug_ins["shape_priors"].priors[2, 3] = 7.0
    architecture = {"plug_ins": [{"kind": "shape_priors", "grid_kji": [1, 2, 2]}]}
    folder = tmp_path_factory.mktemp("learned") / "learned"
    return write_package(folder, network, ("head", "tail"), architecture=architecture, patch_size_kji=[16, 32, 32])


def finished(package: Path) -> AdaptRun:
    """An adaptation that is over."""
    run = AdaptRun(None, package.parent, None, None)
    run.outcome = {"package": str(package), "accepted": False, "verdict": "", "reasons": [], "rows": [], "cases": []}
    run.outcome |= {"explanation": "", "notes": [], "reference_rows": [], "reference_cases": []}
    return run


def test_priors_are_shown_from_the_panel_and_from_the_console(host, representation, learned: Path, home: Path) -> None:
    module = representation.self()
    panel, logic = module.panel.adapt, module.logic
    panel.verdict.show(finished(home / "models" / "bright"))
    assert panel.ui.priorsButton.isHidden() and not panel.ui.installButton.isHidden()
    panel.verdict.show(finished(learned))
    assert not panel.ui.priorsButton.isHidden()
    panel.ui.priorsButton.click()
    host.wait_until(lambda: panel.ui.priorsButton.enabled, TIMEOUT_S)
    assert "3 volumes were added" in panel.ui.statusLabel.text
    shown = logic.showShapePriors(learned).volumes
    assert [node.GetName() for node in shown] == ["Prior of background", "Prior of head", "Prior of tail"]
    values_kji = slicer.util.arrayFromVolume(shown[2])
    assert values_kji.shape == (1, 2, 2) and values_kji[0, 1, 1] == values_kji.max() == pytest.approx(7.0)
    bounds = np.zeros(6)
    shown[2].GetRASBounds(bounds)
    np.testing.assert_allclose(bounds, [-16, 16, -16, 16, -8, 8])
    with pytest.raises(RuntimeError, match="the model bright has no shape priors; adapt it with the method shape-priors"):
        logic.showShapePriors("bright")
