"""Models of SlicerMONAIAuto3DSeg: their configuration is in the checkpoint; what that extension does with an image is repeated."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInfererAdapt
from monai.networks.nets import SegResNetDS
from monai.transforms import (
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    Invertd,
    Lambdad,
    LoadImaged,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from monai_bundles import phantom, saved

from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.auto_segmenter import segment

NETWORK = {"init_filters": 4, "blocks_down": [1, 1], "in_channels": 1, "out_channels": 3, "norm": "BATCH", "dsdepth": 2}
BOUNDS, SPACING = [-120.0, 240.0], [2.0, 2.5, 3.0]
CONFIG = {
    "network": {"_target_": "monai.networks.nets.SegResNetDS", **NETWORK},
    "normalize_mode": "range",
    "intensity_bounds": BOUNDS,
    "modality": "ct",
    "crop_foreground": True,
    "orientation_ras": True,
    "resample_resolution": SPACING,
    "roi_size": [16, 16, 16],
    "sigmoid": False,
}
KIDNEY = {
    "LabelValue": "2", "Name": "kidney_left", "SegmentedPropertyTypeCodeSequence.CodingSchemeDesignator": "SCT",
    "SegmentedPropertyTypeCodeSequence.CodeValue": "64033007", "SegmentedPropertyTypeCodeSequence.CodeMeaning": "Kidney",
}  # fmt: skip


def write_model(folder: Path, **config: object) -> Path:
    """A model as that extension unpacks it, around a small network with random weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = SegResNetDS(**NETWORK)
    torch.save({"state_dict": network.state_dict(), "config": {**CONFIG, **config}, "epoch": 3}, folder / "model.pt")
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(KIDNEY))
        writer.writeheader()
        writer.writerows([KIDNEY, {"LabelValue": "1", "Name": "liver"}])
    return folder


def run_by_monai(folder: Path, file: Path) -> np.ndarray:
    """The steps of auto3dseg_segresnet_inference.py, with MONAI."""
    transforms = Compose(
        [
            LoadImaged(keys=["image", "image1"]),
            EnsureChannelFirstd(keys=["image", "image1"]),
            ScaleIntensityRanged(keys="image", a_min=BOUNDS[0], a_max=BOUNDS[1], b_min=-1, b_max=1, clip=False),
            Lambdad(keys="image", func=torch.sigmoid),
            Orientationd(keys=["image", "image1"], axcodes="RAS"),
            CropForegroundd(keys="image", source_key="image1", margin=10, allow_smaller=True),
            Spacingd(
                keys="image", pixdim=SPACING, mode="bilinear", dtype=torch.float, min_pixdim=np.array(SPACING) * 0.75,
                max_pixdim=np.array(SPACING) * 1.25,
            ),
        ]
    )  # fmt: skip
    data = transforms({"image": str(file), "image1": str(file)})
    network = SegResNetDS(**NETWORK).eval()
    network.load_state_dict(torch.load(folder / "model.pt")["state_dict"])
    inferer = SlidingWindowInfererAdapt(roi_size=(16, 16, 16), sw_batch_size=1, overlap=0.625, mode="gaussian")
    with torch.no_grad():
        logits = inferer(data["image"][None], network)[0]
    labels = logits.argmax(dim=0, keepdim=True).to(torch.uint8)
    data["pred"] = MetaTensor(labels, meta=data["image"].meta, applied_operations=data["image"].applied_operations)
    return np.asarray(Invertd(keys="pred", orig_keys="image", transform=transforms, nearest_interp=True)(data)["pred"])[0]


def test_labels_are_those_of_that_extension(tmp_path: Path) -> None:
    volume, geometry = phantom()
    folder = write_model(tmp_path / "abdominal-organs-v2.1.0")
    expected = run_by_monai(folder, saved(volume, geometry, tmp_path)).transpose(2, 1, 0)
    card = import_model(folder).card
    labelmap, _ = segment(volume, geometry, load_model(card.id), device="cpu")
    assert np.mean(labelmap == expected) >= 0.999 and len(np.unique(labelmap)) > 1
    assert (card.id, card.version, card.title) == ("abdominal-organs", "2.1.0", "abdominal organs")
    assert [(label.value, label.name) for label in card.labels] == [(1, "liver"), (2, "kidney left")]
    assert card.labels[1].terminology == {"type": ("SCT", "64033007", "Kidney")} and card.channels[0].modality == "CT"


def test_folder_files_and_zips_are_the_same_model(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "in" / "body-3mm-v2.0.0", normalize_mode="meanstd")
    flat = Path(shutil.make_archive(str(tmp_path / "body-3mm-v2.0.0"), "zip", folder))
    nested = Path(shutil.make_archive(str(tmp_path / "whatever"), "zip", folder.parent))
    levels = [folder, folder.parent, folder / "model.pt", folder / "labels.csv", flat, nested]
    cards = [import_model(level, model_id=f"level-{n}").card for n, level in enumerate(levels)]
    assert len({card.weights_sha256 for card in cards}) == 1
    assert {(card.title, card.version) for card in cards} == {("body 3mm", "2.0.0")}
    assert [step.step for step in cards[0].preparation] == ["standardize", "crop_foreground", "resample"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"sigmoid": True}, "only of models named brats with 3 of them"),
        ({"normalize_mode": "pet"}, "'pet', which is not known"),
        ({"extra_modalities": {"image2": "meanstd"}}, "in different ways"),
        ({"network": None}, "does not describe its network"),
        ({"network": {"_target_": "scripts.Own"}}, "'scripts.Own', which is not known"),
        ({"intensity_bounds": [1]}, "must be two numbers"),
    ],
)
def test_what_cannot_be_repeated_is_refused(config: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        import_model(write_model(tmp_path / "model", **config))
