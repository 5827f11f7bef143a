"""Results folders of nnU-Net v1 and v2 import from every level and predict what the official programs predicted."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_folders import v1_folder, v2_folder

from mednextseg.models.importers import ImportedModel, import_model, nnunet_v1, nnunet_v2
from mednextseg.models.importers.results_folder import fold_checkpoints
from mednextseg.models.library import installed_models, library_folder, sha256_of
from mednextseg.models.loaded_model import load_model
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint, load_pickle
from mednextseg.segment import auto_segmenter, network_run
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.sliding_window import WindowCount, predict_slabs
from mednextseg.volume_io import read_volume

V1, V2 = "nnunet_v1", "nnunet_v2"


@pytest.fixture(scope="module")
def folders(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The golden results folders with their weight files; version -> the folder of the trainer."""
    sys.path.insert(0, str(golden))
    import make_checkpoints

    sys.path.remove(str(golden))
    files = make_checkpoints.complete(tmp_path_factory.mktemp("results"))
    return {version: file.parents[1] for version, file in zip((V1, V2), files, strict=True)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def predicted(model: ImportedModel, golden: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Everything a run computes on the way: the prepared image, the averaged values and the labels."""
    slabs: list[np.ndarray] = []
    predict_slabs = network_run.predict_slabs

    def recorded(*arguments: Any) -> Any:
        for start, values in predict_slabs(*arguments):
            slabs.append(values.numpy())
            yield start, values

    monkeypatch.setattr(network_run, "predict_slabs", recorded)
    volume, geometry = read_volume(golden / version / "prediction_phantom_010" / "phantom_010_0000.nii.gz")
    loaded = load_model(model.folder)
    labels, _ = auto_segmenter.segment(volume, geometry, loaded, device="cpu")
    prepared = prepare(volume[None], geometry, loaded.card)
    return {"image": prepared.image_ckji, "values": np.concatenate(slabs, axis=1), "labels": labels}


def top_two_gap(probabilities: np.ndarray) -> np.ndarray:
    best = np.sort(probabilities.astype(np.float32), axis=0)
    return best[-1] - best[-2]


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(dim=0).numpy()


def test_nnunet_v1_predicts_what_the_official_program_predicted(
    golden: Path, folders: dict[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = predicted(import_model(folders[V1]), golden, V1, monkeypatch)
    stored = golden / V1 / "prediction_phantom_010"
    steps = np.load(stored / "intermediate.npz")
    assert np.abs(found["image"] - steps["preprocessed"]).max() <= 1e-4
    assert np.abs(found["values"] - steps["softmax_network_grid"].astype(np.float32)).max() <= 1e-3
    official = read_volume(stored / "phantom_010_labels.nii.gz")[0]
    assert (found["labels"] == official).mean() >= 0.999
    cropped = np.load(stored / "softmax_original_grid.npz")
    box = tuple(slice(start, stop) for start, stop in cropped["crop_bbox_zyx"])
    clear = top_two_gap(cropped["softmax"]) > 2e-3
    assert (found["labels"][box] == official[box])[clear].all()


def test_nnunet_v2_predicts_what_the_official_program_predicted(
    golden: Path, folders: dict[str, Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = predicted(import_model(folders[V2]), golden, V2, monkeypatch)
    stored = golden / V2 / "prediction_phantom_010"
    steps = np.load(stored / "intermediate.npz")
    assert np.abs(found["image"] - steps["preprocessed"]).max() <= 1e-4
    # nnU-Net v2 adds up in float16; the stored float32 sums of the same windows are what exact arithmetic gives.
    exact = steps["logits_network_grid_exact_f32w"]
    assert np.abs(found["values"] - exact).max() <= 5e-3
    assert np.abs(softmax(found["values"]) - softmax(exact)).max() <= 1e-3
    official = read_volume(stored / "phantom_010_labels.nii.gz")[0]
    assert (found["labels"] == official).mean() >= 0.999


def test_all_eight_mirror_images_are_averaged_as_nnunet_v2_does(golden: Path, folders: dict[str, Path], home: Path) -> None:
    model = load_model(import_model(folders[V2]).folder)
    volume, geometry = read_volume(golden / V2 / "prediction_phantom_010" / "phantom_010_0000.nii.gz")
    image_ckji = prepare(volume[None], geometry, model.card).image_ckji
    sliding = sliding_window_for(model.card, SegmentRecipe(tta=True), "cpu")
    assert len(sliding.views) == 8
    slabs = predict_slabs(image_ckji, model.network_loaders("cpu"), model.num_outputs, sliding, WindowCount())
    start, found = next(slabs)  # the first planes, whose windows are done first: all of them would take half a minute
    part = (slice(None), slice(start, start + found.shape[1]))
    steps = np.load(golden / V2 / "prediction_phantom_010" / "intermediate.npz")
    mirrored, plain, exact = (
        steps[f"logits_network_grid{name}"].astype(np.float32)[part] for name in ("_mirrored", "", "_exact_f32w")
    )
    # nnU-Net v2 adds up in float16. Mirrored sums are no further off than unmirrored ones, whose exact values are known; and mirroring
    # itself changes far more than that.
    difference, rounding = np.abs(found.numpy() - mirrored), np.abs(plain - exact)
    assert difference.max() <= 1.5 * rounding.max() and difference.mean() <= 1.5 * rounding.mean()
    assert np.abs(mirrored - exact).mean() > 10 * difference.mean()


def test_every_level_of_the_official_folders_leads_to_their_weights(folders: dict[str, Path]) -> None:
    for version, suffix, names, above in (
        (V1, ".model", nnunet_v1.CHECKPOINTS, 3),
        (V2, ".pth", nnunet_v2.CHECKPOINTS, 2),
    ):
        trainer = folders[version]
        weights = next(file for file in (trainer / "fold_0").iterdir() if file.suffix == suffix)
        for level in (weights, trainer / "fold_0", trainer, *trainer.parents[:above]):
            assert fold_checkpoints(level, names, suffix) == [weights]


def test_every_level_of_a_folder_gives_the_same_model(home: Path, tmp_path: Path) -> None:
    v1, v2 = v1_folder(tmp_path / "v1"), v2_folder(tmp_path / "v2", {"background": 0, "a": 1, "b": 2}, 3)
    for trainer, suffix, above in ((v1, ".model", 3), (v2, ".pth", 2)):
        weights = next(file for file in (trainer / "fold_0").iterdir() if file.suffix == suffix)
        cards = []
        for number, path in enumerate([weights, weights.parent, trainer, *trainer.parents[:above]]):
            model = import_model(path, model_id=f"level-{suffix[1:]}-{number}")
            cards.append({**model.card.to_dict(), "id": ""})
        assert all(card == cards[0] for card in cards)
        assert cards[0]["source"]["sha256"][f"fold_0/{weights.name}"] == sha256_of(weights)
        assert cards[0]["title"].startswith("Task007_Tiny" if trainer == v1 else "Dataset009_Tiny")
    assert len([model for model in installed_models() if model.startswith("level-")]) == 11


def test_a_lone_v2_checkpoint_describes_itself(folders: dict[str, Path], home: Path, tmp_path: Path) -> None:
    lone = tmp_path / "somewhere" / "else" / "weights.pth"
    lone.parent.mkdir(parents=True)
    shutil.copy(folders[V2] / "fold_0" / "checkpoint_final.pth", lone)
    card = import_model(lone).card
    assert [(label.value, label.name) for label in card.labels] == [(1, "organ"), (2, "lesion")]
    assert card.axis_order_kji == (2, 0, 1) and card.mirror_axes_kji == (0, 1, 2)
    assert (card.average, card.normalize_first, card.padding) == ("logits", True, "zero")


def test_folds_become_an_ensemble_and_coarse_heads_are_dropped(home: Path, tmp_path: Path) -> None:
    model = import_model(v1_folder(tmp_path, folds=3))
    loaded = load_model(model.card.id)
    assert len(model.card.weights_sha256) == 3 == len(loaded.network_loaders("cpu"))
    assert loaded.network_config.deep_supervision is False
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        outputs = [load()(x) for load in loaded.network_loaders("cpu")]
    assert not torch.allclose(outputs[0], outputs[1])
    assert len(loaded._networks) == 1  # one fold in memory at a time
    assert import_model(v1_folder(tmp_path / "b", folds=3) / "fold_1", model_id="one-fold").card.weights_sha256 == (
        model.card.weights_sha256[1],
    )


def test_names_come_from_dataset_json(home: Path, tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path)
    (trainer / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver", "2": "spleen"}}))
    model = import_model(tmp_path)
    assert [label.name for label in model.card.labels] == ["liver", "spleen"]
    assert model.card.labels[0].terminology["type"] == ("SCT", "10200004", "Liver")


def test_regions_keep_their_order_and_are_painted(home: Path, tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    card = import_model(v2_folder(tmp_path, labels, num_classes=3, regions_class_order=[1, 2, 3])).card
    assert card.activation == "sigmoid"
    assert [(label.value, label.name) for label in card.labels] == [
        (1, "whole tumor"),
        (2, "tumor core"),
        (3, "enhancing tumor"),
    ]
    assert card.channels[0].modality == "MR" and card.channels[0].normalization.masked
    labels = {"background": 0, "b": 2, "a": 1, "ignore": 3}
    card = import_model(v2_folder(tmp_path / "plain", labels, num_classes=3), model_id="plain").card
    assert [(label.value, label.name) for label in card.labels] == [(1, "a"), (2, "b")] and card.activation == "softmax"


def test_a_reader_that_turns_images_gives_anatomical_axes(home: Path, tmp_path: Path) -> None:
    trainer = v2_folder(tmp_path, {"background": 0, "a": 1, "b": 2}, 3, overwrite_image_reader_writer="NibabelIOWithReorient")
    assert import_model(trainer).card.orientation == "RAS"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: v1_folder(p, name="nnUNetTrainerV2CascadeFullRes"), "cascade"),
        (lambda p: v1_folder(p, preprocessor_name="PreprocessorFor2D"), "preprocessor PreprocessorFor2D"),
        (lambda p: v1_folder(p, normalization_schemes={0: "CT3"}), "normalization 'CT3'"),
        (lambda p: v1_folder(p, num_classes=4), "4 outputs but its description 2 labels"),
        (
            lambda p: v1_folder(
                p,
                num_modalities=2,
                modalities={0: "CT", 1: "PT"},
                normalization_schemes={0: "CT", 1: "noNorm"},
                use_mask_for_norm={0: False, 1: False},
            ),
            "takes 1 channels but its description names 2",
        ),
        (lambda p: v1_folder(p, segmentation_export_params={"force_separate_z": True}), "force_separate_z = True"),
        (
            lambda p: v1_folder(p, plans_per_stage={0: {"patch_size": [16, 16, 24], "current_spacing": [1, 1, 1]}}),
            "not divisible",
        ),
        (lambda p: v2_folder(p, {"background": 0, "a": 1}, 2, {"previous_stage": "3d_lowres"}), "cascade"),
        (lambda p: v2_folder(p, {"background": 0, "a": 1}, 2, {"preprocessor_name": "Mine"}), "preprocessor Mine"),
        (lambda p: v2_folder(p, {"background": 0, "a": 1}, 2, {"normalization_schemes": ["Mine"]}), "normalization 'Mine'"),
        (
            lambda p: v2_folder(p, {"background": 0, "a": 1}, 2, {"resampling_fn_data": "resample_torch_fornnunet"}),
            "resampling_fn_data",
        ),
        (lambda p: v2_folder(p, {"background": 0, "a": [1, 2], "b": 2}, 2), "regions_class_order"),
        (lambda p: v2_folder(p, {"background": 0, "a": 1}, 2, overwrite_image_reader_writer="Tiff3DIO"), "Tiff3DIO"),
    ],
)
def test_what_cannot_be_honored_is_refused_with_the_reason(
    make: Callable[[Path], Path], reason: str, home: Path, tmp_path: Path
) -> None:
    trainer = make(tmp_path / "results")
    with pytest.raises(ValueError, match=reason) as refusal:
        import_model(trainer)
    assert "\n" not in str(refusal.value)
    assert not library_folder().exists() or not list(library_folder().iterdir())


def test_several_models_below_a_folder_are_listed(home: Path, tmp_path: Path) -> None:
    v1_folder(tmp_path / "a")
    v1_folder(tmp_path / "b")
    with pytest.raises(ValueError, match="holds 2 trained models"):
        import_model(tmp_path)
    with pytest.raises(ValueError, match="holds no known model"):
        import_model(_empty(tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no"):
        import_model(tmp_path / "nowhere")


def _empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_damaged_weights_leave_nothing_behind(home: Path, tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path)
    weights = trainer / "fold_0" / "model_final_checkpoint.model"
    content = load_checkpoint(weights)
    content["state_dict"]["module.stem.bias"][0] = float("nan")
    torch.save(content, weights)
    with pytest.raises(ValueError, match=r"stem\.bias has values that are not finite"):
        import_model(trainer)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="truncated"):
        import_model(trainer)
    (trainer / "fold_0" / "model_final_checkpoint.model.pkl").unlink()
    with pytest.raises(ValueError, match=r"\.model\.pkl is missing"):
        import_model(trainer)
    assert not library_folder().exists() or not list(library_folder().iterdir())


def test_the_same_model_is_not_imported_twice_under_one_id(home: Path, tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path)
    import_model(trainer, model_id="mine", overrides={"title": "Mine", "weights_license": "CC0"})
    assert load_model("mine").card.title == "Mine"
    with pytest.raises(ValueError, match=r"has mine 1\.0\.0 already"):
        import_model(trainer, model_id="mine")
    assert len(list(library_folder().iterdir())) == 1


def test_both_spellings_of_numpys_modules_are_read(golden: Path, folders: dict[str, Path]) -> None:
    old = load_pickle(folders[V1] / "plans.pkl")
    new = load_pickle(golden / V1 / "numpy2_pickles" / "plans.pkl")
    assert old["plans_per_stage"][0]["patch_size"] == new["plans_per_stage"][0]["patch_size"]
