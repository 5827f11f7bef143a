"""Bundles as the Model Zoo has them, around small networks, and MONAI itself running them: what ours is compared with."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.networks.utils import eval_mode
from scipy import ndimage

from mednextseg.geometry import Geometry

UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2], "num_res_units": 1,
    "norm": "batch",
}  # fmt: skip
ORIENTATION = {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"}
SPACING = {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [2.0, 2.5, 3.0], "mode": "bilinear"}
RANGE = {
    "_target_": "ScaleIntensityRanged",
    "keys": "@image_key",
    "a_min": -57,
    "a_max": 164,
    "b_min": 0,
    "b_max": 1,
    "clip": True,
}
INVERT = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "@image_key",
    "nearest_interp": False,
}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}


def write_bundle(
    folder: Path,
    network: dict | None = None,
    before: Sequence[dict] = (ORIENTATION, SPACING, RANGE),
    after: Sequence[dict] = (SOFTMAX, INVERT, ARGMAX),
    inferer: dict | None = None,
    names: Sequence[str] = ("background", "left atrium", "tumor"),
    channels: Sequence[str] = ("CT",),
    **entries: object,
) -> Path:
    """The folder of a bundle whose network has random weights; `entries` are added to inference.json."""
    network = UNET if network is None else network
    image = {"modality": "CT", "num_channels": len(channels), "channel_def": dict(enumerate(channels))}
    outputs = {"channel_def": {str(n): name for n, name in enumerate(names)}}
    save = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"}
    load = [{"_target_": "LoadImaged", "keys": "@image_key"}, {"_target_": "EnsureChannelFirstd", "keys": "@image_key"}]
    inference = {
        "imports": ["$import os"],
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "bundle_root": ".",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [*load, *before]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.4, **(inferer or {})},
        "postprocessing": {"_target_": "Compose", "transforms": [*after, save]},
        **entries,
    }
    metadata = {
        "name": "Left atrium",
        "version": "0.3.1",
        "license": "CC-BY-4.0",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": outputs}},
    }
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    torch.manual_seed(0)
    torch.save(_parsed(folder, "network_def").state_dict(), folder / "models" / "model.pt")
    return folder


def phantom(seed: int = 0, channels: int = 1) -> tuple[np.ndarray, Geometry]:
    """A smooth volume in Hounsfield units with air around it, oblique, anisotropic and not along RAS: (channels, K, J, I)."""
    random = np.random.default_rng(seed)
    noise = np.stack([ndimage.gaussian_filter(random.normal(size=(17, 40, 36)), (1.2, 2, 2)) for _ in range(channels)])
    volume = np.round(noise / noise.std() * 120 + 40).astype(np.float32)
    volume[:, :2], volume[:, :, -4:], volume[..., :3] = 0, 0, 0
    angle = np.radians(8)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.array([[0, -1.3, 0], [1.1, 0, 0], [0, 0, -3.7]])
    matrix[:3, 3] = 30, -20, 11
    return volume, Geometry(volume.shape[1:], matrix.astype(np.float32))  # as NIfTI stores it


def saved(volume: np.ndarray, geometry: Geometry, work: Path) -> Path:
    """The volume as NIfTI, its channels last."""
    file = work / "volume.nii.gz"
    stored = np.moveaxis(volume, 0, -1).transpose(2, 1, 0, 3)
    nibabel.save(nibabel.Nifti1Image(stored if stored.shape[-1] > 1 else stored[..., 0], geometry.ijk_to_ras), file)
    return file


def run_by_monai(folder: Path, volume: np.ndarray, geometry: Geometry, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """MONAI's own way through a bundle: "pred" before it is saved (channels, K, J, I), and its logits (channels, I, J, K)."""
    file = saved(volume, geometry, work)
    parser = _parser(folder)
    transforms = parser["postprocessing"]["transforms"]
    parser["postprocessing"]["transforms"] = [t for t in transforms if t["_target_"] != "SaveImaged"]
    before, after = (parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing"))
    network, inferer = (parser.get_parsed_content(name) for name in ("network_def", "inferer"))
    network.load_state_dict(torch.load(folder / "models" / "model.pt"))
    data = before({"image": str(file)})
    with eval_mode(network):
        logits = inferer(data["image"][None], network)[0]
    data["pred"] = MetaTensor(logits, meta=data["image"].meta, applied_operations=data["image"].applied_operations)
    return np.asarray(after(data)["pred"]).transpose(0, 3, 2, 1), np.asarray(logits)


def _parser(folder: Path) -> ConfigParser:
    parser = ConfigParser()
    parser.read_config(folder / "configs" / "inference.json")
    return parser


def _parsed(folder: Path, name: str) -> torch.nn.Module:
    return _parser(folder).get_parsed_content(name)
