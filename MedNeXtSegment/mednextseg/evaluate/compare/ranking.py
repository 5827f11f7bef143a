"""Installed models ranked by CCFV on a few labeled cases of one's own (see transferability.py); no source data is needed."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from mednextseg.evaluate.compare.taps import FeatureTaps, decoder_stages
from mednextseg.evaluate.compare.transferability import CaseFeatures, TransferabilityScore, transferability
from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.package_tensors import package_tensors
from mednextseg.models.weights import network_from_state_dict
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.prepared_volume import resample_labels
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.windows.layout import Window, WindowGrid
from mednextseg.segment.windows.sliding_window import padded_to_patch
from mednextseg.segmentation_io import Segmentation

VOXELS_PER_CLASS = 200
VOXELS_ANYWHERE = 400
_ANYWHERE = ""  # stands for the whole image among the class names


def rank_models(
    models: Sequence[LoadedModel],
    cases: Sequence[tuple[np.ndarray, Geometry, Segmentation]],
    device: str = "cpu",
    seed: int = 0,
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, TransferabilityScore]:
    """Score models on labeled cases.

    Args:
        models: with as many channels as the cases.
        cases: (volume (K, J, I) or (channels, K, J, I), its Geometry, labels on any grid); at least two. The labels need not be the
            models' own: what counts is whether a structure looks the same to the network in every patient, and unlike the rest.
        seed: of the choice of voxels.
    Returns:
        model id (with the folder where several models have the same id) -> score, best first. Intervals that overlap mean that the
        cases cannot tell these models apart.
    Raises:
        ValueError: for fewer than two cases, or none in common.
    """
    ids = [model.card.id for model in models]
    names = [model.card.id if ids.count(model.card.id) == 1 else f"{model.card.id} in {model.folder}" for model in models]
    scores = {}
    for name, model in zip(names, models, strict=True):
        features = [case_features(model, *case, device=device, seed=seed) for case in cases]
        scores[name] = transferability(features)
        report(f"{name}: {scores[name].score:.3f}")
    return dict(sorted(scores.items(), key=lambda entry: -entry[1].score))


def case_features(
    model: LoadedModel, volume: np.ndarray, geometry: Geometry, labels: Segmentation, device: str = "cpu", seed: int = 0
) -> CaseFeatures:
    """Sample a network's decoder features at labeled voxels and anywhere, on the network's own grid."""
    if model.card.slice_by_slice or model.card.parts:
        kind = "is several models in one" if model.card.parts else "works slice by slice"
        raise ValueError(f"the model {model.card.id} {kind}; only single networks of volumes can be ranked.")
    try:
        check_region(geometry, model.card, None)
    except ValueError as error:
        raise ValueError(
            f"the model {model.card.id} only knows boxes around its structure; rank it on images cut to such boxes, not on whole ones."
        ) from error
    prepared = prepare(checked_channels(volume, geometry, model.card), geometry, model.card)
    labelmap_kji = resample_labels(labels.labelmap_kji, labels.geometry, prepared.network_geometry)
    patch_kji = tuple(model.card.patch_size_kji)
    padded_ckji, offset_kji = padded_to_patch(prepared.image_ckji, patch_kji, model.card.padding)
    chosen_kji = {name: points + np.array(offset_kji) for name, points in _chosen_voxels(labelmap_kji, labels, seed).items()}
    state = package_tensors(model.folder, model.card, model.card.weights_files[0])
    network = network_from_state_dict(state, model.card.architecture).eval().to(device)
    network.deep_supervision = False
    windows = WindowGrid.laid(padded_ckji.shape[1:], patch_kji, model.card.overlap).windows
    every_kji = np.concatenate(list(chosen_kji.values()))
    stages = sample_features(network, padded_ckji, windows, patch_kji, every_kji, device)
    ends = np.cumsum([len(points) for points in chosen_kji.values()])
    parts = {
        name: [stage[end - len(points) : end] for stage in stages]
        for (name, points), end in zip(chosen_kji.items(), ends, strict=True)
    }
    return CaseFeatures(anywhere=parts.pop(_ANYWHERE), by_class=parts)


def sample_features(
    network: nn.Module,
    image_ckji: np.ndarray,
    windows: Sequence[Window],
    patch_kji: Sequence[int],
    voxels_kji: np.ndarray,
    device: str = "cpu",
) -> list[np.ndarray]:
    """Features of single voxels: each is looked up once, in the window whose center is nearest, at its place on the stage's grid.

    Args:
        image_ckji: float32, at least one patch large.
        voxels_kji: (n, 3) indices into the image.
    Returns:
        One float32 (n, channels) array for each decoder stage, coarsest first.
    """
    starts = np.array([window.start_kji for window in windows])
    centers = starts + np.array(patch_kji) / 2
    nearest = ((voxels_kji[:, None] + 0.5 - centers[None]) ** 2).sum(axis=2).argmin(axis=1)
    modules = decoder_stages(network)
    found: dict[str, np.ndarray] = {}
    with FeatureTaps(modules) as taps, torch.inference_mode():
        for number in np.unique(nearest):
            mine = np.flatnonzero(nearest == number)
            start = starts[number]
            part = tuple(slice(s, s + p) for s, p in zip(start, patch_kji, strict=True))
            network(torch.from_numpy(np.ascontiguousarray(image_ckji[(slice(None), *part)]))[None].to(device))
            for name, feature in taps.features.items():
                grid = np.array(feature.shape[2:])
                k, j, i = ((voxels_kji[mine] - start) * grid // np.array(patch_kji)).T
                values = feature[0, :, k, j, i].T.float().cpu().numpy()
                found.setdefault(name, np.empty((len(voxels_kji), values.shape[1]), dtype=np.float32))[mine] = values
    return [found[name] for name in modules]


def _chosen_voxels(labelmap_kji: np.ndarray, labels: Segmentation, seed: int) -> dict[str, np.ndarray]:
    """Structure -> (n, 3) voxel indices, without repetition; and voxels from anywhere."""
    random = np.random.default_rng(seed)
    masks = {label.name: np.flatnonzero(labelmap_kji == label.value) for label in labels.labels}
    chosen = {name: random.permutation(voxels)[:VOXELS_PER_CLASS] for name, voxels in masks.items() if voxels.size}
    chosen[_ANYWHERE] = random.permutation(labelmap_kji.size)[:VOXELS_ANYWHERE]
    return {name: np.stack(np.unravel_index(v, labelmap_kji.shape), axis=1) for name, v in chosen.items()}
