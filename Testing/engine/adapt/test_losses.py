"""Losses against MONAI's and against hand-made numbers, and where patches come from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import FocalLoss, TverskyLoss

from mednextseg.adapt.losses import TERMS, hard_voxels
from mednextseg.adapt.losses.tversky import PUBLISHED, USUAL, Tversky
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss, background_sets
from mednextseg.adapt.mednext.sampling import draws_of, hardest, random_crop
from mednextseg.models.tuning_choices import LOSSES, METHODS, SAMPLINGS

CLASSES = torch.eye(3, dtype=torch.bool)


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 4, 5, 6, generator=generator), torch.randint(0, 3, (2, 4, 5, 6), generator=generator)


def test_every_choice_of_the_tables_is_there() -> None:
    from mednextseg.adapt.tuning.methods import METHODS as BUILT

    assert list(TERMS) == list(LOSSES) and list(BUILT) == list(METHODS)
    assert {name: draws_of(name) for name in SAMPLINGS} == {"usual": 1, "foreground": 1, "hard": 2}
    for choice in (*METHODS.values(), *LOSSES.values(), *SAMPLINGS.values()):
        assert choice.title and choice.advice.endswith(".") and "\n" not in choice.advice


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**20))
def test_tversky_and_focal_are_monais(seed: int) -> None:
    logits, codes = drawn(seed)
    log_p = logits.log_softmax(1).gather(1, codes[:, None])
    focal = FocalLoss(gamma=2, use_softmax=True, to_onehot_y=True, reduction="none")(logits, codes[:, None]).sum(1).mean()
    torch.testing.assert_close(TERMS["focal"].voxels(log_p.flatten()), focal)
    for index, name in ((USUAL, "tversky"), (PUBLISHED, "tversky-published")):
        expected = TverskyLoss(
            include_background=False, to_onehot_y=True, softmax=True, alpha=index.wrong, beta=index.missed,
            batch=True, smooth_nr=1, smooth_dr=1,
        )(logits, codes[:, None])  # fmt: skip
        found = PartialLabelLoss(CLASSES, loss=name)([logits], codes) + log_p.mean()
        torch.testing.assert_close(found, expected)


def test_missed_voxels_cost_more_usually_and_less_as_published() -> None:
    found, size = torch.tensor([50.0]), torch.tensor([100.0])
    missed, wrong = (found, found, size), (size / 2, size, found)  # half of it missed; as much again beside it
    assert USUAL(*missed) < USUAL(*wrong) and PUBLISHED(*missed) > PUBLISHED(*wrong)
    assert USUAL(size, size, size) == 1 == PUBLISHED(size, size, size)
    half = Tversky(0.5, 0.5)(size / 2, size * 2, size)
    torch.testing.assert_close(half, (size + 2) / (3 * size + 2))  # Dice


def test_hard_voxels_are_the_most_expensive_seven_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    log_p = -torch.arange(10.0)
    assert TERMS["hard-voxels"].voxels(log_p) == torch.arange(3.0, 10.0).mean()
    every = -torch.rand(50)
    monkeypatch.setattr(hard_voxels, "_SHARE", 1.0)  # all of them are cross-entropy
    torch.testing.assert_close(TERMS["hard-voxels"].voxels(every), TERMS["dice-ce"].voxels(every))
    monkeypatch.undo()
    log_p.requires_grad_()
    TERMS["hard-voxels"].voxels(log_p).backward()
    assert (log_p.grad != 0).tolist() == [False] * 3 + [True] * 7


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_teaches_that_what_was_not_drawn_is_background(name: str) -> None:
    loss = PartialLabelLoss(background_sets(3, [frozenset({2})]), loss=name)
    logits = torch.zeros(1, 3, 4, 4, 4, requires_grad=True)
    codes = torch.full((1, 4, 4, 4), 3)  # background or class 2
    codes[0, 0] = 1
    loss([logits], codes).backward()
    gradient = logits.grad[0, :, 1:]
    torch.testing.assert_close(gradient[0], gradient[2])
    perfect = torch.full((1, 3, 4, 4, 4), -40.0)
    perfect[:, 2], perfect[:, 1, 0], perfect[:, 2, 0] = 40, 40, -40
    assert float(loss([perfect], codes)) == pytest.approx(0, abs=1e-4)


def test_foreground_sampling_centers_rare_labels_as_often() -> None:
    label = np.zeros((1, 14, 14, 14), dtype=np.uint8)
    label[:, :, :, :7], label[:, 3, 3, 11] = 1, 2
    shares = {}
    for name in SAMPLINGS:
        crop = random_crop(name, (3, 3, 3), 3)
        crop.set_random_state(1)
        centers = [crop({"image": label.astype(np.float32), "label": label})[0]["label"][0, 1, 1, 1] for _ in range(80)]
        shares[name] = np.bincount(np.array(centers, dtype=int), minlength=3) / len(centers)
    assert shares["usual"][2] < 0.05 and shares["foreground"][2] == pytest.approx(0.45, abs=0.15)
    assert shares["foreground"][0] == pytest.approx(0.1, abs=0.1)


def test_the_hardest_patches_are_kept_in_their_order() -> None:
    losses = [0.3, 0.9, 0.1, 0.7]
    assert hardest(lambda number: torch.tensor(losses[number]), 4, 2).tolist() == [1, 3]
