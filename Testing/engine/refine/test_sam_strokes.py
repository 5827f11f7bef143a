"""Scribbles and lassos given to SAM-Med2D, SAM and MedSAM, which know none: they become clicks and a box, and are obeyed."""

import numpy as np
import pytest
import torch

from mednextseg.networks.sam_med2d import build_sam_med2d
from mednextseg.refine import Prompts
from mednextseg.refine.auto_prompts import prompts_from
from mednextseg.refine.prompters.sam_med2d import SamPrompter
from mednextseg.refine.slices.slice_session import SliceSession
from mednextseg.refine.strokes import Stroke

SHAPE_RC = (50, 80)
FAMILIES = ("sam_med2d", "sam", "medsam")
ALONG = Stroke([[20, 20], [20, 50]])
BESIDE = Stroke([[40, 10], [40, 70]], is_positive=False)
AROUND = Stroke([[10, 15], [10, 60], [30, 60], [30, 15]], is_lasso=True)
OFF = Stroke([[0, 0], [0, 12], [49, 12], [49, 0]], is_positive=False, is_lasso=True)


@pytest.fixture(scope="module")
def prompters():
    with torch.device("meta"):
        network = build_sam_med2d(64, adapters=False)
    network.image_encoder.blocks = network.image_encoder.blocks[:1]  # what prompts become needs no deep encoder
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.normal_(0, 0.05, generator=generator)
    return {family: SamPrompter(network, family, "0" * 64) for family in FAMILIES}


@pytest.fixture(scope="module")
def embeddings(prompters):
    image = np.random.default_rng(0).random(SHAPE_RC)
    return {family: prompter.encode(image) for family, prompter in prompters.items()}


@pytest.mark.parametrize("family", ["sam_med2d", "sam"])
def test_a_scribble_is_answered_as_clicks_along_it_and_its_pixels_are_obeyed(prompters, embeddings, family):
    prompter, embedding = prompters[family], embeddings[family]
    drawn = prompter.predict(embedding, Prompts(strokes=[ALONG, BESIDE]))
    clicks = [(20, col) for col in (20, 30, 40, 50)] + [(40, col) for col in (10, 30, 50, 70)]
    clicked = prompter.predict(embedding, Prompts(clicks, [1] * 4 + [0] * 4))
    lines = ALONG.pixels(SHAPE_RC) | BESIDE.pixels(SHAPE_RC)
    assert np.array_equal(drawn.probability[~lines], clicked.probability[~lines])
    assert drawn.mask[ALONG.pixels(SHAPE_RC)].all() and not drawn.mask[BESIDE.pixels(SHAPE_RC)].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lasso_is_answered_as_a_box_around_it_and_as_a_mask(prompters, embeddings, family):
    prompter, embedding = prompters[family], embeddings[family]
    drawn = prompter.predict(embedding, Prompts(strokes=[AROUND]))
    mask = AROUND.pixels(SHAPE_RC).astype(np.float32)
    boxed = prompter.predict(embedding, Prompts(box=(10.5, 15.5, 30.5, 60.5), mask=mask))
    assert np.array_equal(drawn.probability, boxed.probability)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_negative_lasso_encloses_is_off_whatever_the_network_says(prompters, embeddings, family):
    prompter, embedding = prompters[family], embeddings[family]
    result = prompter.predict(embedding, Prompts(strokes=[AROUND, OFF]))
    assert not result.mask[OFF.pixels(SHAPE_RC)].any()
    alone = prompter.predict(embedding, Prompts(strokes=[OFF]))
    assert not alone.mask.any()


def test_medsam_says_that_it_understands_no_scribble(prompters, embeddings):
    with pytest.raises(ValueError, match="boxes only"):
        prompters["medsam"].predict(embeddings["medsam"], Prompts(strokes=[ALONG]))


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_from_a_segment_are_understood_by_each_family(prompters, embeddings, family):
    prompter, start = prompters[family], AROUND.pixels(SHAPE_RC).astype(np.float32)
    session = SliceSession(prompter, embeddings[family], start)
    prompts = prompts_from(start, prompter.info.prompt_kinds)
    session.ask(prompts)
    assert session.prompts.box is not None and len(session.prompts.points_rc) == (0 if family == "medsam" else 1)
    expected = prompter.predict(embeddings[family], prompts)
    assert np.array_equal(session.probability, expected.probability)
