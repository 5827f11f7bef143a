"""Whole-head training: joins of labelings, sides, the generator, partial labels, resuming."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Generator, Tensor

from mednextseg.adapt.heads.acquisition import acquired, blurred
from mednextseg.adapt.heads.calibration import calibration_of
from mednextseg.adapt.heads.data import Heads
from mednextseg.adapt.heads.packaging import package_heads
from mednextseg.adapt.heads.real import LabeledHead, augmented_head, plain_head
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.heads.sampling import PatchGrid, deformed_offsets, middle_of, nearest
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.synthetic import LabelMap, random_contrast, synthetic_head
from mednextseg.adapt.heads.trainer import HeadTrainer
from mednextseg.adapt.heads.validation import alike_classes, dice_of_groups, dice_of_structures
from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss, background_sets
from mednextseg.adapt.starting_weights import averaged_weights

TABLE = structures()
GRID = PatchGrid((16, 16, 16), 4.0)
LEFT_THALAMUS, RIGHT_THALAMUS = TABLE.code("left thalamus"), TABLE.code("right thalamus")


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def head_of_values(values: dict[int, int], size: int = 64) -> Tensor:
    """Two halves of a head: the given FreeSurfer value on the patient's right (small i) and left, soft tissue around."""
    head = torch.full((size,) * 3, 506, dtype=torch.int16)
    right, left = values.items()
    head[16:48, 16:48, 16:32] = right[1]
    head[16:48, 16:48, 32:48] = left[1]
    return head


def two_thalami() -> Tensor:
    return head_of_values({0: 49, 1: 10})


def test_both_labelings_name_the_same_structures() -> None:
    freesurfer, muse = TABLE.joins["freesurfer"], TABLE.joins["muse"]
    assert len(TABLE.classes) == 33
    assert freesurfer[17] == muse[48] == TABLE.code("left hippocampus")
    assert freesurfer[53] == muse[47] == TABLE.code("right hippocampus")
    assert freesurfer[16] == muse[35] == TABLE.code("brain stem")
    assert freesurfer[136] == freesurfer[4] == TABLE.code("left lateral ventricle")
    assert freesurfer[506] == 0  # soft tissue


def test_what_muse_draws_by_another_protocol_stays_open() -> None:
    muse = TABLE.joins["muse"]
    lobe = TABLE.allowed[muse[82]]
    assert [TABLE.classes[n] for n in lobe.nonzero().flatten()] == ["left cerebral white matter", "left cerebral cortex"]
    assert TABLE.allowed[muse[0], 0] and TABLE.allowed[muse[0], TABLE.code("cerebrospinal fluid")]
    assert TABLE.allowed[muse[75]].all()  # basal forebrain: drawn by MUSE alone


def test_mirroring_exchanges_the_sides_and_twice_is_nothing() -> None:
    assert torch.equal(TABLE.mirrored[TABLE.mirrored], torch.arange(len(TABLE.mirrored)))
    assert TABLE.mirrored[LEFT_THALAMUS] == RIGHT_THALAMUS
    assert TABLE.mirrored[TABLE.code("left lobe")] == TABLE.code("right lobe")
    for code in range(len(TABLE.classes)):
        name, mirror = TABLE.classes[code], TABLE.classes[TABLE.mirrored[code]]
        assert mirror == name or {name.split()[0], mirror.split()[0]} == {"left", "right"}


@pytest.mark.parametrize("seed", range(6))
def test_left_is_left_in_every_synthetic_head(seed: int) -> None:
    image, codes = synthetic_head(LabelMap.of(two_thalami()), GRID, seeded(seed))
    assert image.shape == codes.shape == GRID.size_kji
    left, right = ((codes == code).nonzero().float() for code in (LEFT_THALAMUS, RIGHT_THALAMUS))
    assert len(left) > 20 and len(right) > 20
    assert left[:, 2].mean() > right[:, 2].mean()  # i grows to the patient's left


@pytest.mark.parametrize("seed", range(6))
def test_left_is_left_in_every_real_head(seed: int) -> None:
    codes = TABLE.joins["freesurfer"][two_thalami().long()]
    codes[codes == 0] = TABLE.code("outside the brain")
    head = LabeledHead.of(torch.rand(64, 64, 64, generator=seeded()), codes, 1.0)
    image, found = augmented_head(head, GRID, seeded(seed))
    assert abs(float(image.mean())) < 1e-3 and abs(float(image.std()) - 1) < 1e-2
    assert (found == LEFT_THALAMUS).nonzero()[:, 2].float().mean() > (found == RIGHT_THALAMUS).nonzero()[:, 2].float().mean()


def test_a_seed_gives_the_same_head_again_and_another_seed_another() -> None:
    head = LabelMap.of(two_thalami())
    first, again, other = (synthetic_head(head, GRID, seeded(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_contrasts_differ_between_images_but_not_between_sides() -> None:
    contrasts = [random_contrast(seeded(seed))[0] for seed in range(40)]
    white, gray = (torch.stack([mean[value] for mean in contrasts]) for value in (2, 3))
    assert 5 < int((white > gray).sum()) < 35
    assert TABLE.tissue[10] == TABLE.tissue[49]


def test_a_plain_patch_is_the_head_itself() -> None:
    codes = torch.zeros(32, 32, 32, dtype=torch.int64)
    codes[8:24, 8:24, 8:24] = LEFT_THALAMUS
    image = codes.float()
    patch, found = plain_head(LabeledHead.of(image, codes, 2.0), PatchGrid((16, 16, 16), 2.0))
    assert (found == LEFT_THALAMUS).all() or (found == LEFT_THALAMUS).float().mean() > 0.99
    assert torch.isfinite(patch).all()


def test_positions_are_read_in_voxels_and_outside_is_said() -> None:
    labels = torch.arange(27).view(3, 3, 3)
    positions = torch.tensor([[0.0, 1.0, 2.0], [2.4, 2.0, 0.0], [-1.0, 0.0, 0.0]])
    assert nearest(labels, positions, outside=99).tolist() == [5, 24, 99]
    assert middle_of(labels == 5).tolist() == [0, 1, 2]
    assert deformed_offsets(GRID, seeded(), 0.0).abs().max() < 80


def test_blur_keeps_the_mean_and_acts_along_one_axis() -> None:
    x = torch.zeros(1, 1, 9, 9, 9)
    x[..., 4, 4, 4] = 1
    y = blurred(x, 1.0, 2)[0, 0]
    assert y.sum() == pytest.approx(1, abs=1e-5)
    assert y[4, 4].count_nonzero() > 1 and y[:, 4, 4].count_nonzero() == 1


def test_a_cut_field_of_view_takes_its_labels_with_it() -> None:
    lost = TABLE.code("anything")
    found = [
        acquired(torch.ones(16, 16, 16), torch.full((16, 16, 16), LEFT_THALAMUS), seeded(s), 2.0, 0.1, lost) for s in range(40)
    ]
    cut = [(image, codes) for image, codes in found if (codes == lost).any()]
    assert cut
    assert all((image[codes == lost] == 0).all() for image, codes in cut)


def test_without_open_codes_the_loss_is_cross_entropy_and_dice() -> None:
    logits = torch.randn(2, 3, 4, 4, 4, generator=seeded())
    codes = torch.randint(0, 3, (2, 4, 4, 4), generator=seeded(1))
    probabilities, truth = logits.softmax(1), F.one_hot(codes, 3).movedim(-1, 1)
    overlap, total = (probabilities * truth).sum((0, 2, 3, 4)), (probabilities + truth).sum((0, 2, 3, 4))
    dice = ((2 * overlap + 1) / (total + 1))[1:].mean()
    expected = F.cross_entropy(logits, codes) + 1 - dice
    torch.testing.assert_close(PartialLabelLoss(torch.eye(3, dtype=torch.bool))([logits], codes), expected)


def test_a_structure_that_was_not_drawn_is_not_pushed_to_background() -> None:
    loss = PartialLabelLoss(background_sets(3, [frozenset({2})]))
    logits = torch.zeros(1, 3, 4, 4, 4, requires_grad=True)
    codes = torch.full((1, 4, 4, 4), 3)  # background or class 2
    codes[0, 0] = 1
    loss([logits], codes).backward()
    gradient = logits.grad[0, :, 1:]
    torch.testing.assert_close(gradient[0], gradient[2])  # background and the missing structure are told apart by nothing
    assert (gradient[1] > 0).all()  # but class 1 was drawn, and is not here


def test_a_network_learns_a_structure_from_the_cases_that_have_it() -> None:
    """A bright cube in every image, drawn in one case, left to the background in three others."""
    image = torch.zeros(4, 1, 8, 8, 8)
    image[:, :, 2:6, 2:6, 2:6] = 1
    codes = (image[:, 0] > 0).long()
    # Not drawn: code 2 is "background or class 1", so these cases teach nothing about it; taken as background they would.
    codes[1:] = 2
    ignorant = codes.clone()
    ignorant[1:] = 0

    def trained(loss: PartialLabelLoss, codes: Tensor) -> Tensor:
        torch.manual_seed(0)
        network = torch.nn.Conv3d(1, 2, 1)
        optimizer = torch.optim.Adam(network.parameters(), 0.2)
        for _ in range(60):
            optimizer.zero_grad()
            loss([network(image)], codes).backward()
            optimizer.step()
        return network(image).softmax(1)[:, 1][image[:, 0] > 0].mean()

    loss = PartialLabelLoss(background_sets(2, [frozenset({1})]))
    assert trained(loss, codes) > 0.97
    assert trained(loss, ignorant) < 0.8


def test_the_loss_refuses_a_table_without_the_classes() -> None:
    with pytest.raises(ValueError, match="the classes themselves"):
        PartialLabelLoss(torch.ones(3, 3, dtype=torch.bool))


def test_dice_leaves_open_voxels_out() -> None:
    codes = torch.full((4, 4, 4), TABLE.code("left lobe"))
    codes[0], codes[1] = LEFT_THALAMUS, 0
    prediction = torch.full((4, 4, 4), TABLE.code("left cerebral cortex"))
    prediction[0] = LEFT_THALAMUS
    prediction[1] = 0
    dice = dice_of_structures(prediction, codes)
    assert dice[LEFT_THALAMUS] == 1 and dice[TABLE.code("left cerebral cortex")].isnan()
    prediction[3] = LEFT_THALAMUS  # not allowed there
    assert dice_of_structures(prediction, codes)[LEFT_THALAMUS] == pytest.approx(2 / 3)
    assert len(alike_classes()) == 21


def test_both_sides_of_a_structure_are_scored_together() -> None:
    white = [TABLE.code(f"{side} cerebral white matter") for side in ("left", "right")]
    codes = torch.tensor([[[white[0], white[1], 0, TABLE.code("corpus callosum"), TABLE.code("left lobe"), 0]]])
    prediction = torch.tensor([[[white[1], white[0], white[0], white[0], white[0], 0]]])
    joined, alone = dice_of_groups(prediction, codes, [white, white[:1]])
    # Joined, the sides do not count, the corpus callosum is white matter whichever side it is on, and the lobe is left open.
    assert joined == pytest.approx(2 * 3 / (4 + 3))
    assert alone == pytest.approx(0)


def test_training_resumes_validates_and_packages(tmp_path: Path) -> None:
    settings = {"id": "tiny", "title": "Tiny", "patch_size_kji": [16, 16, 16], "base_channels": 2, "validate_every": 2}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**settings, "max_steps": 2, "save_every": 1}))
    recipe = HeadRecipe.from_json(path)
    codes = TABLE.joins["freesurfer"][two_thalami().long()]
    head = LabeledHead.of(torch.rand(64, 64, 64, generator=seeded()), codes, 1.0)
    heads = Heads([head], {"a": head}, [LabelMap.of(two_thalami())], [LabelMap.of(two_thalami())])
    threads = torch.get_num_threads()
    HeadTrainer(recipe, heads, tmp_path / "run").run()
    path.write_text(json.dumps({**settings, "max_steps": 4, "batch_size": 2, "workers": 1}))
    trainer = HeadTrainer(HeadRecipe.from_json(path), heads, tmp_path / "run")
    assert trainer.step == 2
    trainer.run()
    stage = HeadTrainer(recipe, heads, tmp_path / "next", start_from=tmp_path / "run" / "last.pt")
    torch.set_num_threads(threads)
    assert stage.step == 0
    torch.testing.assert_close(stage.network.stem.weight, trainer.averaged.module.stem.weight)
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4]
    assert "left thalamus" in entries[-1]["real"]
    card = package_heads(tmp_path / "run", recipe, [head], tmp_path / "package")
    assert len(card.labels) == 32 and card.spacing_kji_mm == (4.0, 4.0, 4.0)
    assert len(card.exchanged_sides) == 14 and ("left thalamus", "right thalamus") in card.exchanged_sides
    stage.network.load_state_dict(averaged_weights(tmp_path / "run" / "best.pt"))
    bias = load_file(tmp_path / "package" / "weights.safetensors")["out_0.conv_out.bias"]
    torch.testing.assert_close(bias, stage.network.out_0.conv_out.bias + calibration_of(stage.network, [head], recipe.grid))
    with pytest.raises(RuntimeError, match="meta"):  # a device on which nothing can run: so it is the one that computes
        package_heads(tmp_path / "run", recipe, [head], tmp_path / "package", "meta")
