"""Volumes that cannot be segmented get one sentence; those that look unlike the model's training get a warning."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.json_values import listed
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.region_check import network_axes_kji

# Times the card's spacing: coarser images hold too little detail for the model. Finer ones are resampled without harm, until they are so
# fine that their millimeters must be of another animal or wrong.
_TOO_COARSE, _TOO_FINE = 2.5, 1 / 10
_LARGEST = 1e15


def checked_channels(volume: np.ndarray, geometry: Geometry, card: ModelCard) -> np.ndarray:
    """The volume as (channels, K, J, I), a view.

    Args:
        volume: (K, J, I), or (channels, K, J, I) for models of several channels.
    Raises:
        ValueError: for the wrong number of axes or channels, color images, a grid that is not the geometry's, voxels that are not finite
            in float32.
    """
    volume_ckji = volume[None] if volume.ndim == 3 else volume
    names = listed(channel.name for channel in card.channels)
    if volume_ckji.ndim != 4:
        raise ValueError(
            f"a volume has three axes (and one for channels), got an array of shape {volume.shape}; pick one 3D volume."
        )
    if volume_ckji.shape[0] != len(card.channels):
        raise ValueError(f"the model {card.id} needs {len(card.channels)} channel(s) ({names}), got {volume_ckji.shape[0]}.")
    if tuple(volume_ckji.shape[1:]) != geometry.shape_kji:
        raise ValueError(
            f"the array has {volume_ckji.shape[1:]} voxels but its geometry {geometry.shape_kji}; they must agree."
        )
    if min(geometry.shape_kji) < 2 and not card.slice_by_slice:
        raise ValueError(
            f"a slice cannot be segmented in 3D: the volume has {geometry.shape_kji} voxels; load the whole series."
        )
    if np.issubdtype(volume_ckji.dtype, np.complexfloating) or volume_ckji.dtype == object:
        raise ValueError(f"the voxels must be real numbers, got {volume_ckji.dtype}; convert the volume first.")
    return _within_float32(volume_ckji) if np.issubdtype(volume_ckji.dtype, np.floating) else volume_ckji


def warnings_for(volume_ckji: np.ndarray, geometry: Geometry, card: ModelCard) -> list[str]:
    """Sentences for the user where the input is far from what the card says; an empty list where nothing stands out."""
    found = []
    given_mm = geometry.spacing_kji_mm
    if card.slice_by_slice:  # whatever lies between its slices
        given_mm = [given_mm[axis] for axis in network_axes_kji(geometry, card)[1:]]
    trained_mm = given_mm if card.spacing_kji_mm is None else card.spacing_kji_mm[-len(given_mm) :]
    for spacing, wanted in zip(sorted(given_mm), sorted(trained_mm), strict=True):
        if not _TOO_FINE <= spacing / wanted <= _TOO_COARSE:
            consequence = "small structures may be missed" if spacing > wanted else "check that it is in millimeters"
            found.append(
                f"The voxel spacing {_mm(geometry.spacing_kji_mm)} is far from the {_mm(card.spacing_kji_mm)} the model was trained at; "
                f"{consequence}."
            )
            break
    for values, channel in zip(volume_ckji, card.channels, strict=True):
        low, high = float(values.min()), float(values.max())
        if low == high:
            found.append(f"The channel {channel.name} is constant ({low:g}); nothing can be recognized in it.")
        elif channel.modality == "CT" and low >= 0:
            found.append(f"The channel {channel.name} has no negative values, so it does not look like CT in Hounsfield units.")
        elif channel.modality == "MR" and low <= -900:
            found.append(f"The channel {channel.name} reaches {low:g}, which looks like CT; the model expects MR.")
    return found


def _within_float32(volume_ckji: np.ndarray) -> np.ndarray:
    """Numbers that networks can count with: those whose squares come near the end of float32 are cut."""
    largest = max(abs(float(volume_ckji.min())), abs(float(volume_ckji.max())))  # NaN where a voxel is
    if not np.isfinite(largest):
        bad = int(volume_ckji.size - np.isfinite(volume_ckji).sum())
        raise ValueError(
            f"{bad} voxels are NaN or infinite; replace them (for instance by the background value) and try again."
        )
    if largest > float(np.finfo(np.float32).max):
        raise ValueError(f"voxels reach {largest:.3g}, beyond what networks count with; correct the volume and try again.")
    return np.clip(volume_ckji, -_LARGEST, _LARGEST) if largest > _LARGEST else volume_ckji


def _mm(spacing_kji_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing_kji_mm[::-1]) + " mm"
