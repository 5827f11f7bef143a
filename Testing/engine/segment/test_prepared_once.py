"""Networks that want a volume alike get it prepared once; whatever a card says otherwise is honored."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import Channel, ModelCard, read_card
from mednextseg.models.normalization import Normalization
from mednextseg.segment.prepare.prepared_once import PreparedOnce
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.roi import RegionOfInterest

GRID = Geometry((9, 16, 20), np.diag([-1.0, -1.2, 5.0, 1.0]))
REGION = RegionOfInterest((-12, -3, -15, -4, 10, 30))
CHANGES = {
    "channels": (Channel("MR", "MR", Normalization(scheme="none")),),
    "orientation": "SAR",
    "reorient_only": True,
    "axis_order_kji": (1, 0, 2),
    "spacing_kji_mm": (1.0, 1.3, 1.0),
    "patch_size_kji": (16, 8, 32),
    "crop_to_nonzero": True,
    "normalize_first": False,
    "normalization_region": "roi",
    "anisotropy_threshold": 3.0,
    "clip_resampled": True,
}


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return read_card(write_package(tmp_path_factory.mktemp("made") / "net", tiny_mednext(), ("liver", "spleen", "tumor")))


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("roi", [None, REGION])
def test_another_card_gets_its_own_image_and_the_same_wish_the_same(
    card: ModelCard, name: str, roi: RegionOfInterest | None
) -> None:
    volume = np.random.default_rng(0).normal(100, 20, (1, *GRID.shape_kji)).astype(np.float32)
    volume[:, :2], volume[..., -4:] = 0, 0
    once, other = PreparedOnce(volume, GRID, roi), replace(card, **{name: CHANGES[name]})
    first = once.prepare(card)
    assert once.prepare(replace(card, id="other", labels=card.labels[:1], overlap=0.1)) is first
    for wanted in (other, card):
        made, expected = once.prepare(wanted), prepare(volume, GRID, wanted, roi)
        assert np.array_equal(made.image_ckji, expected.image_ckji) and made.crop == expected.crop


def test_an_image_with_labels_of_a_stage_before_is_never_reused(card: ModelCard) -> None:
    volume = np.random.default_rng(0).normal(100, 20, (1, *GRID.shape_kji)).astype(np.float32)
    once, stage = PreparedOnce(volume, GRID, None), replace(card, previous_labels=(1,))
    before = np.zeros(GRID.shape_kji, np.uint8)
    assert not once.prepare(stage, before).image_ckji[1].any()
    assert once.prepare(stage, before + 1).image_ckji[1].any()
    assert once.prepare(card).image_ckji.shape[0] == 1
