"""Which model fits my data? CCFV: class consistency and feature variety of a network's decoder on a few labeled cases.

Paper: Yang et al., "Pick the Best Pre-trained Model: Towards Transferability Estimation for Medical Image Segmentation", MICCAI 2023
(arXiv:2307.11958). For every decoder stage i

    C_i: mean over classes and pairs of cases of the Wasserstein-2 distance between Gaussians fitted to the class's features;
    F_i: mean over cases of 1 / E, E the hyperspherical energy, i.e. the mean of 1 / |u - v| over pairs of unit feature vectors;
    T = sum_i log(F_i / C_i), higher is better.

A score to rank models by, never a predicted Dice, and a weak one: in our trial (docs/developers/model_choice.md) it did not follow the
Dice of models of different trainings. Where we differ from the public code, on purpose:
- hooks see every window (see taps.py), and labels lie on the same axes as the features;
- distances are averaged, not compounded;
- variety is 1 / E, as the paper says, where the code rewards E itself and so collapsed features;
- a stage's features are divided by their root mean square before C: otherwise a network that only outputs smaller numbers, and decides
  exactly the same, would score higher.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

MIN_CLASS_VOXELS = 8
_RESAMPLES = 500
_SEED = 0
# Two sampled points may coincide; the energy of a pair is bounded as if they were this far apart on the unit sphere.
_MIN_DISTANCE = 1e-3


@dataclass(frozen=True)
class CaseFeatures:
    """Features sampled from one case.

    Attributes:
        by_class: structure -> one (voxels, channels) array a decoder stage.
        anywhere: one (voxels, channels) array a stage, of voxels drawn from the whole image.
    """

    by_class: Mapping[str, Sequence[np.ndarray]]
    anywhere: Sequence[np.ndarray]


@dataclass(frozen=True)
class TransferabilityScore:
    """CCFV of one model on a set of cases.

    Attributes:
        score: T, higher is better; low, high: its 95 % bootstrap interval over cases.
        consistency, variety: C and F of each decoder stage, coarsest first.
        classes: structures that at least two cases have.
    """

    score: float
    low: float
    high: float
    consistency: tuple[float, ...]
    variety: tuple[float, ...]
    classes: tuple[str, ...]


def wasserstein2(first: np.ndarray, second: np.ndarray) -> float:
    """Wasserstein-2 distance between the Gaussians fitted to two (n, channels) samples, n >= 2 each.

    The cross term tr((S1^1/2 S2 S1^1/2)^1/2) is the nuclear norm of X1 X2^T / sqrt((n1 - 1)(n2 - 1)) of the centered samples: real,
    and only as large as the samples.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    mean_first, mean_second = first.mean(axis=0), second.mean(axis=0)
    a, b = (first - mean_first) / np.sqrt(len(first) - 1), (second - mean_second) / np.sqrt(len(second) - 1)
    # The nuclear norm of A B^T is that of R_A R_B^T, the triangular factors, which are no larger than the channels.
    cross = np.linalg.svd(np.linalg.qr(a, mode="r") @ np.linalg.qr(b, mode="r").T, compute_uv=False).sum()
    squared = ((mean_first - mean_second) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * cross
    return float(np.sqrt(max(squared, 0.0)))


def hyperspherical_energy(points: np.ndarray) -> float:
    """Mean of 1 / distance over all pairs of the (n, channels) points after scaling each to unit length; low where they spread out."""
    unit = np.asarray(points, dtype=np.float64)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), np.finfo(float).tiny)
    squared = np.maximum(2 - 2 * unit @ unit.T, 0.0)
    distances = np.sqrt(squared[np.triu_indices(len(unit), k=1)])
    return float((1 / np.maximum(distances, _MIN_DISTANCE)).mean())


def transferability(cases: Sequence[CaseFeatures]) -> TransferabilityScore:
    """CCFV from sampled features.

    Args:
        cases: at least two, with the same decoder stages.
    Raises:
        ValueError: for fewer than two cases, or no structure that two of them share.
    """
    if len(cases) < 2:
        raise ValueError(f"ranking models needs at least two labeled cases, got {len(cases)}.")
    classes = _shared_classes(cases)
    if not classes:
        raise ValueError(f"no structure of at least {MIN_CLASS_VOXELS} voxels is labeled in two of the cases; label more.")
    distances = _pair_distances(cases, classes)
    variety = np.array([[1 / hyperspherical_energy(points) for points in case.anywhere] for case in cases])
    everyone = np.arange(len(cases))
    consistency = _mean_over_pairs(distances, everyone)
    return TransferabilityScore(
        score=_score(distances, variety, everyone),
        **_interval(distances, variety),
        consistency=tuple(consistency.tolist()),
        variety=tuple(variety.mean(axis=0).tolist()),
        classes=tuple(classes),
    )


def _shared_classes(cases: Sequence[CaseFeatures]) -> list[str]:
    names = dict.fromkeys(name for case in cases for name in case.by_class)
    large = {
        name: [len(case.by_class[name][0]) >= MIN_CLASS_VOXELS for case in cases if name in case.by_class] for name in names
    }
    return [name for name in names if sum(large[name]) >= 2]


def _pair_distances(cases: Sequence[CaseFeatures], classes: Sequence[str]) -> np.ndarray:
    """(classes, cases, cases, stages) W2 distances; NaN where a case lacks the class, and on the diagonal."""
    stages = len(cases[0].anywhere)
    scale = [
        np.sqrt(np.mean([np.mean(np.square(case.anywhere[stage], dtype=np.float64)) for case in cases]))
        for stage in range(stages)
    ]
    distances = np.full((len(classes), len(cases), len(cases), stages), np.nan)
    for number, name in enumerate(classes):
        for (i, first), (j, second) in combinations(enumerate(cases), 2):
            samples = [case.by_class.get(name) for case in (first, second)]
            if any(sample is None or len(sample[0]) < MIN_CLASS_VOXELS for sample in samples):
                continue
            for stage in range(stages):
                size = max(scale[stage], np.finfo(float).tiny)
                distance = wasserstein2(samples[0][stage] / size, samples[1][stage] / size)
                distances[number, i, j, stage] = distances[number, j, i, stage] = distance
    return distances


def _mean_over_pairs(distances: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(stages,) mean over classes and pairs of the chosen cases (which may repeat); a case is never paired with itself."""
    return np.nanmean(distances[:, chosen][:, :, chosen], axis=(0, 1, 2))


def _score(distances: np.ndarray, variety: np.ndarray, chosen: np.ndarray) -> float:
    consistency = np.maximum(_mean_over_pairs(distances, chosen), np.finfo(float).tiny)
    return float(np.log(variety[chosen].mean(axis=0) / consistency).sum())


def _interval(distances: np.ndarray, variety: np.ndarray) -> dict[str, float]:
    random = np.random.default_rng(_SEED)
    scores = []
    while len(scores) < _RESAMPLES:
        chosen = random.integers(0, len(variety), len(variety))
        if not np.isnan(distances[:, chosen][:, :, chosen]).all():  # else all draws are one case, or share no structure
            scores.append(_score(distances, variety, chosen))
    low, high = np.percentile(scores, (2.5, 97.5)).tolist()
    return {"low": low, "high": high}
