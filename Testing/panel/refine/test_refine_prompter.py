"""Who answers is chosen in the tab: the bundled network, the random walker, a file whose family may have to be said."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Refine.PrompterChoice import FAMILY_KEY, FILE_KEY, PROMPTER_KEY, PrompterChoice, chosenPrompter
from refine_bench import Bench


@pytest.fixture
def bench(host, representation, make_slice_view):
    yield Bench(host, representation, make_slice_view("Red", "Axial"))
    for key in (PROMPTER_KEY, FILE_KEY, FAMILY_KEY):
        Settings.write(key, "")


def choose(selector, data):
    selector.setCurrentIndex(selector.findData(data))


def test_the_choice_holds_from_the_next_click_on_and_is_remembered(bench):
    assert chosenPrompter() == () and bench.inputs.prompterFileButton.isHidden()
    choose(bench.inputs.prompterSelector, "random_walker")
    bench.ui.pointPlusButton.click()
    bench.click()
    assert bench.tools.session.prompterInfo.name == "random_walker" and bench.mask().any()
    assert "random walker" in bench.ui.refinePrompterLabel.text
    before = bench.mask()
    choose(bench.inputs.prompterSelector, "")
    assert bench.tools.session is None and np.array_equal(bench.mask(), before)
    bench.click((2, 1))
    assert bench.tools.session.prompterInfo.name == "clicknet"
    choose(bench.inputs.prompterSelector, "random_walker")
    again = PrompterChoice(bench.inputs, lambda: None)
    assert again._ui.prompterSelector.itemData(again._ui.prompterSelector.currentIndex) == "random_walker"


def test_a_file_is_asked_for_its_family_where_its_tensors_cannot_tell(bench, tmp_path):
    path = tmp_path / "vit_b.safetensors"
    shapes = {"image_encoder.pos_embed": (1, 64, 64, 768), "mask_decoder.mask_tokens.weight": (4, 256)}
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    save_file(tensors, path)
    choose(bench.inputs.prompterSelector, "file")
    assert chosenPrompter() == () and not bench.inputs.prompterFileButton.isHidden()  # no file yet
    bench.panel.prompterChoice.chooseFile(str(path))
    assert bench.inputs.prompterFileButton.text == "vit_b.safetensors"
    bench.ui.pointPlusButton.click()
    bench.click()
    assert "SAM and MedSAM have the same tensors" in bench.status and bench.tools.session is None
    choose(bench.inputs.prompterFamilySelector, "sam")
    assert chosenPrompter() == (("prompter", str(path)), ("family", "sam"))
    bench.click((1, 0))
    assert "SAM and MedSAM" not in bench.status and bench.status  # now its tensors are looked at, and most are missing
    assert not bench.mask().any()
