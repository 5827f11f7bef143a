"""Bundles of MONAI give MONAI's own labels, whatever they do before and after the network; what cannot be repeated is refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai_bundles import ARGMAX, INVERT, ORIENTATION, RANGE, SOFTMAX, SPACING, UNET, phantom, run_by_monai, saved, write_bundle

from mednextseg.cli import main
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.models.preparation import steps_from
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.sliding_window import WindowCount, predict_slabs
from mednextseg.segmentation_io import read_segmentation

STANDARDIZE = {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True}
MIN_MAX = {"_target_": "ScaleIntensityd", "keys": "@image_key", "minv": -1.0, "maxv": 1.0}
PERCENTILES = {
    "_target_": "ScaleIntensityRangePercentilesd", "keys": ["image"], "lower": 1, "upper": 99, "b_min": 0, "b_max": 1, "clip": True,
    "relative": True,
}  # fmt: skip
CROP = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "margin": 1, "allow_smaller": True}
NEAREST = {**INVERT, "nearest_interp": True}
SIGMOID = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
THRESHOLD = {**ARGMAX, "argmax": False, "threshold": 0.5}
LARGEST = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]}
SLICES = {**UNET, "spatial_dims": 2}
TUMOR = ("tumor core", "whole tumor", "enhancing tumor")
WHOLE_BODY = {
    "mode": "gaussian",
    "overlap": "@displayable_configs#sw_overlap",
    "padding_mode": "replicate",
    "roi_size": [16, 16, 32],
}
# Each as bundles of the Model Zoo are, with what they differ in.
PIPELINES = {
    "spleen": {},
    "whole body": {
        "before": (ORIENTATION, {**SPACING, "pixdim": "@pixdim"}, STANDARDIZE, MIN_MAX),
        "after": (SOFTMAX, ARGMAX, NEAREST),
        "inferer": WHOLE_BODY,
        "displayable_configs": {"sw_overlap": 0.25, "highres": True},
        "pixdim": "$[1.5, 1.85, 2.2] if @displayable_configs#highres else [3.0, 3.0, 3.0]",
    },
    "cropped after scaling": {"before": (ORIENTATION, SPACING, STANDARDIZE, MIN_MAX, CROP)},
    "cropped first, to percentiles": {
        "before": (CROP, ORIENTATION, {**SPACING, "pixdim": [1.0, 0.9, 2.0]}, PERCENTILES),
        "after": (ARGMAX, NEAREST),
    },
    "two channels, as stored": {
        "before": (STANDARDIZE,),
        "after": (INVERT, SOFTMAX, ARGMAX),
        "network": {**UNET, "in_channels": 2},
        "channels": ("T1", "T2"),
    },
    "one output by sigmoid": {
        "network": {**UNET, "out_channels": 1},
        "names": ("tumor",),
        "after": (SIGMOID, INVERT, THRESHOLD),
    },
    "slices across the first axis, as stored": {
        "before": (STANDARDIZE,),
        "network": SLICES,
        "inferer": {"_target_": "SliceInferer", "roi_size": [16, 8], "mode": "gaussian"},
        "after": (SOFTMAX, INVERT, ARGMAX),
    },
    "slices across the second axis": {
        "before": (ORIENTATION, SPACING, RANGE, CROP),
        "network": SLICES,
        "inferer": {"_target_": "SliceInferer", "roi_size": [16, 8], "spatial_dim": 1},
    },
    "axial slices on their own spacing, outputs that overlap": {
        "before": (ORIENTATION, {**SPACING, "pixdim": [1.5, 2.0, -1.0]}, RANGE),
        "network": SLICES,
        "names": TUMOR,
        "inferer": {"_target_": "SliceInferer", "roi_size": [16, 24], "spatial_dim": 2, "overlap": 0.5},
        "after": (SIGMOID, INVERT, THRESHOLD),
    },
    "brain tumor, outputs that overlap": {"names": TUMOR, "after": (SIGMOID, INVERT, THRESHOLD)},
    "outputs that overlap, by the nearest voxel": {"names": TUMOR, "after": (SIGMOID, THRESHOLD, NEAREST)},
}


@pytest.mark.parametrize("name", PIPELINES)
def test_labels_and_probabilities_are_those_of_monai(name: str, tmp_path: Path) -> None:
    options = PIPELINES[name]
    volume, geometry = phantom(channels=len(options.get("channels", ("CT",))))
    folder = write_bundle(tmp_path / "bundle", **options)
    expected, logits = run_by_monai(folder, volume, geometry, tmp_path)
    imported = import_model(folder)
    model = load_model(imported.card.id)
    assert imported.notes == () and model.card.family == "monai"
    labelmap, report = segment(volume, geometry, model, device="cpu")
    if model.card.labels_overlap:
        assert labelmap.shape == expected.shape and ((labelmap > 0).sum(axis=0) > 1).any()
        assert all(np.unique(layer).tolist() == [0, value] for value, layer in enumerate(labelmap, start=1))
        labelmap, expected = labelmap > 0, expected[None]
    assert np.mean(labelmap == expected[0]) >= 0.999 and labelmap.any()
    assert set(report.volumes_ml) == {label.name for label in model.card.labels}
    prepared = prepare(volume, geometry, model.card)
    sliding = sliding_window_for(model.card, SegmentRecipe(), "cpu")
    slabs = predict_slabs(prepared.image_ckji, model.network_loaders("cpu"), model.num_outputs, sliding, WindowCount())
    values = torch.cat([part for _, part in slabs], dim=1)
    activate = torch.sigmoid if model.card.activation == "sigmoid" else lambda x: x.softmax(dim=0)
    across = options.get("inferer", {}).get("spatial_dim", 0)  # our K, where slices are looked at
    assert torch.allclose(activate(values), activate(torch.from_numpy(np.moveaxis(logits, across + 1, 1))), atol=1e-4)


def test_a_bundle_imports_at_every_level(tmp_path: Path) -> None:
    root = tmp_path / "downloads"
    folder = write_bundle(root / "spleen_ct_segmentation")
    archive = Path(shutil.make_archive(str(tmp_path / "spleen"), "zip", root))
    loose = Path(shutil.make_archive(str(tmp_path / "loose"), "zip", folder))
    parts = ("", "configs", "models", "models/model.pt", "configs/inference.json", "configs/metadata.json")
    levels = [root, archive, loose, *(folder / part for part in parts)]
    cards = [import_model(level, model_id=f"level-{n}").card for n, level in enumerate(levels)]
    assert len({card.weights_sha256 for card in cards}) == 1 and len({card.preparation for card in cards}) == 1
    card = cards[0]
    # MONAI's first tensor axis runs to the right; ours is K, the last letter.
    assert (card.orientation, card.spacing_kji_mm, card.patch_size_kji) == ("SAR", (2.0, 2.5, 3.0), (16, 16, 16))
    assert [label.name for label in card.labels] == ["left atrium", "tumor"] and card.weights_license == "CC-BY-4.0"
    assert card.channels[0].modality == "CT" and card.interpolated == "activations" and card.window_layout == "dense"


def test_what_a_prostate_bundle_does_is_kept_and_what_differs_is_said(tmp_path: Path) -> None:
    numbers = {"_target_": "MapLabelValued", "keys": "pred", "orig_labels": [0, 1, 2], "target_labels": [0, 5, 7]}
    imported = import_model(write_bundle(tmp_path / "prostate", after=(ARGMAX, LARGEST, INVERT)), model_id="prostate")
    assert [rule.labels for rule in imported.card.component_rules] == [("left atrium",), ("tumor",)]
    assert imported.card.interpolated == "labels" and "takes the nearest label" in imported.notes[0]
    renumbered = import_model(
        write_bundle(tmp_path / "renumbered", after=(SOFTMAX, INVERT, ARGMAX, numbers)), model_id="n"
    ).card
    assert [(label.value, label.name) for label in renumbered.labels] == [(5, "left atrium"), (7, "tumor")]


def test_the_command_line_imports_a_bundle_and_segments_with_it(tmp_path: Path) -> None:
    volume, geometry = phantom()
    folder, output = write_bundle(tmp_path / "bundle"), tmp_path / "case.seg.nrrd"
    assert main(["models", "import", str(folder), "--id", "atrium"]) == 0
    command = ["segment", str(saved(volume, geometry, tmp_path)), "-o", str(output), "--model", "atrium", "--device", "cpu"]
    assert main(command) == 0
    written = read_segmentation(output)
    expected, _ = segment(volume, geometry, load_model("atrium"), device="cpu")
    assert [label.name for label in written.labels] == ["left atrium", "tumor"]
    assert expected.any() and np.array_equal(written.labelmap_kji, expected)


@pytest.mark.parametrize(
    ("labels", "independent", "rules"),
    [
        ([0, 2], True, [("tumor core",), ("enhancing tumor",)]),
        (None, True, [("whole tumor",), ("enhancing tumor",)]),  # MONAI takes channel 0 for the background
        (None, False, [("whole tumor", "enhancing tumor")]),
    ],
)
def test_clean_up_of_outputs_that_overlap_counts_channels(
    labels: list[int] | None, independent: bool, rules: list, tmp_path: Path
) -> None:
    largest = {**LARGEST, "applied_labels": labels, "independent": independent}
    card = import_model(write_bundle(tmp_path / "brats", names=TUMOR, after=(SIGMOID, INVERT, THRESHOLD, largest))).card
    assert [rule.labels for rule in card.component_rules] == rules and card.labels_overlap


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"before": (RANGE, {"_target_": "MyOwnTransformd", "keys": "image"})}, "MyOwnTransformd, which is not known"),
        (
            {"before": (RANGE, {"_target_": "scripts.mine.Spacingd", "keys": "image"})},
            "scripts.mine.Spacingd, which is not known",
        ),
        ({"before": ({**SPACING, "pixdim": "$[1.0] * 3"},)}, "expressions are not evaluated"),
        ({"before": ({**SPACING, "mode": 3},)}, "only bilinear and nearest"),
        ({"before": (SPACING, ORIENTATION)}, r"turns images \(Orientationd\) after resampling"),
        ({"before": ({**CROP, "select_fn": "$lambda x: x > 3"},)}, "select_fn"),
        ({"before": (ORIENTATION,)}, "neither resamples images nor scales"),
        ({"after": (SOFTMAX, {"_target_": "FillHolesd", "keys": "pred"})}, "FillHolesd, which is not known"),
        ({"after": (SOFTMAX, INVERT, {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.7})}, "only the threshold 0.5"),
        ({"inferer": {"mode": "$@mode"}}, "which has no equal here"),
        ({"inferer": {"_target_": "SliceInferer", "roi_size": [16, 16]}}, "works on volumes .3D., so its card needs"),
        ({"inferer": {"_target_": "SliceInferer", "roi_size": [16, 16], "spatial_dim": 3}}, "spatial_dim is 3; an axis"),
        ({"inferer": {"_target_": "SliceInferer"}}, "of slices two"),
        ({"inferer": {"roi_size": [16, 16]}}, "of volumes needs three numbers"),
        ({"network": SLICES}, "works on single slices"),
        ({"inferer": {"roi_size": [15, 16, 16]}}, r"window.* of \(15, 16, 16\).*check roi_size"),
        ({"names": ("background", "liver")}, "3 outputs but its description 1 labels"),
        ({"network_def": {"_target_": "DiNTS"}}, "'DiNTS', which is not known"),
        ({"network_def": {**UNET, "out_channels": "$len(@names)"}}, "out_channels = .*expressions are not evaluated"),
        ({"network_def": {**UNET, "channels": [4, 8, 16], "strides": [2, 2]}}, "the weights do not fit the UNet"),
        ({"network_def": {**UNET, "num_res_units": 10**9}}, "is no plain number"),
        ({"network_def": {**UNET, "num_res_units": 10**4}}, "10000 blocks in the UNet, but the weights only"),
        ({"network_def": {**UNET, "act": "NoSuchActivation"}}, "MONAI makes no UNet"),
        ({"network_def": "@network_def"}, "refers to itself"),
    ],
)
def test_what_a_bundle_asks_for_and_we_cannot_do_is_refused(options: dict, reason: str, tmp_path: Path) -> None:
    replaced = {name: options.pop(name) for name in ("network_def",) if name in options}
    folder = write_bundle(tmp_path / "bundle", **options)
    config = folder / "configs" / "inference.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **replaced}))
    with pytest.raises(ValueError, match=reason) as refusal:
        import_model(folder)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_missing_files_of_a_bundle_are_named_with_the_cure(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    program, weights = folder / "models" / "model.ts", folder / "models" / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Conv3d(1, 2, 1)), program)
    with pytest.raises(ValueError, match="TorchScript program"):
        import_model(program)
    weights.unlink()
    with pytest.raises(ValueError, match=r"only models/model\.ts, a TorchScript program; download its models/model\.pt"):
        import_model(folder)
    program.unlink()
    with pytest.raises(ValueError, match=r"has no models/model\.pt; download it with its weights"):
        import_model(folder)
    (folder / "configs" / "inference.json").rename(folder / "configs" / "inference.yaml")
    with pytest.raises(ValueError, match=r"in inference\.yaml, and only JSON is read; write it as inference\.json"):
        import_model(folder)


def test_steps_of_a_card_are_checked() -> None:
    spacing = {"step": "resample", "spacing_kji_mm": [1, 1, 1]}
    for steps, reason in (
        ([{"step": "blur"}], "one of"),
        ([{**spacing, "sigma": 1}], "no field sigma"),
        ([spacing, spacing], "one resample at the most"),
        ([spacing, {"step": "crop_foreground", "of": "volume"}], "before resampling"),
        ([{"step": "scale_range", "a_min": "low", "a_max": 1}], "must be a number"),
    ):
        with pytest.raises(ValueError, match=reason):
            steps_from(steps)
