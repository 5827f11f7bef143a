"""A volume as it lies in the file -> the network's axes, region, intensities and spacing, with all it takes to go back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mednextseg.geometry import AxisMap, Geometry, axis_map
from mednextseg.models.model_card import Channel, ModelCard
from mednextseg.segment.prepare.intensity import IntensityScaling, fit_scaling
from mednextseg.segment.prepare.largest_grid import check_network_size
from mednextseg.segment.prepare.prepared_volume import IndexBox, PreparedVolume, resample_labels, whole
from mednextseg.segment.prepare.previous_labels import label_channels
from mednextseg.segment.prepare.resampling import anatomical_grid, resample_affine, resize, resize_planes, resized_geometry
from mednextseg.segment.prepare.step_by_step import final_grid, prepare_by_steps
from mednextseg.segment.roi import RegionOfInterest

# Beyond this angle "the nearest axis" is no longer the anatomy the network was trained on, so the volume is rotated to it first.
# Trained networks of ours see rotations up to 17 degrees; a scanner's gantry tilt stays below and is left alone.
MAX_OBLIQUITY_DEG = 15.0


def prepare(
    volume_ckji: np.ndarray,
    geometry: Geometry,
    card: ModelCard,
    roi: RegionOfInterest | None = None,
    previous_kji: np.ndarray | None = None,
    device: str = "cpu",
) -> PreparedVolume:
    """Turn, crop, normalize and resample a volume for a model.

    Args:
        volume_ckji: (channels, K, J, I), any real dtype; not changed.
        geometry: of every channel.
        card: what the model expects.
        roi: where to segment; a margin around it is kept as context.
        previous_kji: labels of the stage before on the volume's grid, where the card has `previous_labels`.
        device: that resamples; what comes out is in main memory.
    Raises:
        ValueError: where the region lies outside the volume.
    """
    turned_ckji, turned, turn, rotated = _to_network_axes(volume_ckji, geometry, card)
    if card.preparation:
        return prepare_by_steps(turned_ckji, turned, turn, geometry, card, roi)
    card = _at_own_slices(card, turned)
    kept = _nonzero_box(turned_ckji) if card.crop_to_nonzero else whole(turned)
    region = kept if roi is None else _box_with_context(roi, kept, turned, card)
    measured = region if card.normalization_region == "roi" else kept
    crop_geometry = turned.cropped(region.start, region.stop)
    grid = _NetworkGrid(network_shape_kji(crop_geometry, card), _coarse_axis(crop_geometry, card), device)
    mask = _nonzero_mask(turned_ckji) if any(channel.normalization.masked for channel in card.channels) else None
    image_ckji = np.empty((len(card.channels) + len(card.previous_labels), *grid.shape_kji), dtype=np.float32)
    scalings = []
    for source, stored, channel, image_kji in zip(volume_ckji, turned_ckji, card.channels, image_ckji, strict=False):
        # Rotating adds corners that no scanner saw: they must not count in mean and deviation.
        whole_source = source if rotated and measured == whole(turned) else None
        scalings.append(_fill_channel(image_kji, stored, whole_source, mask, region, measured, channel, card, grid))
    if card.previous_labels:
        seen_kji = resample_labels(previous_kji, geometry, turned) if rotated else turn.apply(previous_kji)
        image_ckji[len(card.channels) :] = _previous_channels(seen_kji, turned_ckji, mask, region, card, grid)
    return PreparedVolume(
        image_ckji=image_ckji,
        network_geometry=resized_geometry(crop_geometry, grid.shape_kji),
        source=geometry,
        turned=turned,
        turn=turn,
        rotated=rotated,
        crop=region,
        coarse_axis=grid.coarse_axis,
        air_below=_air_below(card, scalings),
    )


def network_shape_kji(geometry: Geometry, card: ModelCard) -> tuple[int, int, int]:
    """Voxels of the network's grid over the same extent, rounded as nnU-Net rounds (half to even).

    Models with anatomical axes leave an axis within 0.1 % of their spacing alone; others follow nnU-Net to the voxel.

    Raises:
        ValueError: for a grid that no machine takes, which only a wrong spacing asks for.
    """
    sizes = [
        n * mm / wanted for n, mm, wanted in zip(geometry.shape_kji, geometry.spacing_kji_mm, card.spacing_kji_mm, strict=True)
    ]
    check_network_size(sizes, geometry.spacing_kji_mm)
    shape = []
    for n, spacing, wanted in zip(geometry.shape_kji, geometry.spacing_kji_mm, card.spacing_kji_mm, strict=True):
        same = card.orientation is not None and abs(spacing - wanted) <= 1e-3 * wanted
        # A spacing worked out from a matrix is off by 1e-16, which must not decide how an exact half is rounded.
        shape.append(n if same else max(1, round(round(n * spacing / wanted, 9))))
    return tuple(shape)


def network_grid(geometry: Geometry, card: ModelCard, roi: RegionOfInterest | None = None) -> Geometry:
    """The grid that `prepare` would resample a volume onto, before any margin of zeros is cut off: for plans, which have no voxels.

    Raises:
        ValueError: where the region lies outside the volume.
    """
    turned, _, _ = _network_axes(geometry, card)
    if card.preparation:
        return final_grid(turned, card, roi)
    card = _at_own_slices(card, turned)
    region = whole(turned) if roi is None else _box_with_context(roi, whole(turned), turned, card)
    crop_geometry = turned.cropped(region.start, region.stop)
    return resized_geometry(crop_geometry, network_shape_kji(crop_geometry, card))


def _network_axes(geometry: Geometry, card: ModelCard) -> tuple[Geometry, AxisMap, bool]:
    """The grid along the network's axes, the turn that leads there, and whether it takes a rotation instead."""
    if card.orientation is None:
        turn = AxisMap(tuple(card.axis_order_kji), (False, False, False))
    elif not card.reorient_only and (geometry.is_sheared or geometry.obliquity_deg > MAX_OBLIQUITY_DEG):
        grid = anatomical_grid(geometry, card.orientation, card.spacing_kji_mm)
        return grid, AxisMap((0, 1, 2), (False, False, False)), True
    else:
        turn = axis_map(geometry.orientation, card.orientation)
    return turn.apply_geometry(geometry), turn, False


def _at_own_slices(card: ModelCard, turned: Geometry) -> ModelCard:
    """For a network of slices, the card with the volume's own spacing along K: nothing is interpolated from slice to slice."""
    if not card.slice_by_slice:
        return card
    return replace(card, spacing_kji_mm=(turned.spacing_kji_mm[0], *card.spacing_kji_mm[1:]))


def _to_network_axes(
    volume_ckji: np.ndarray, geometry: Geometry, card: ModelCard
) -> tuple[np.ndarray, Geometry, AxisMap, bool]:
    turned, turn, rotated = _network_axes(geometry, card)
    if rotated:
        stack = np.stack([resample_affine(channel, geometry, turned, order=3) for channel in volume_ckji])
        return stack, turned, turn, True
    return turn.apply(volume_ckji), turned, turn, False


def _box_with_context(roi: RegionOfInterest, kept: IndexBox, turned: Geometry, card: ModelCard) -> IndexBox:
    """The region with a quarter patch of context on either side, and never less than a patch, within `kept`."""
    roi_start, roi_stop = roi.index_bounds(turned)
    patch = np.array(card.patch_size_kji) * np.array(card.spacing_kji_mm) / np.array(turned.spacing_kji_mm)
    extent = np.maximum(roi_stop - roi_start + patch / 2, patch)
    margin = np.ceil((extent - (roi_stop - roi_start)) / 2).astype(int)
    start, stop = np.maximum(kept.start, roi_start - margin), np.minimum(kept.stop, roi_stop + margin)
    if (stop <= start).any():
        raise ValueError("the region of interest holds only zeros, which this model cuts off; move it onto the patient.")
    return IndexBox(tuple(start.tolist()), tuple(stop.tolist()))


def _nonzero_box(volume_ckji: np.ndarray) -> IndexBox:
    """nnU-Net's crop: the box of voxels that are not zero in any channel; the whole volume if all are zero."""
    boxes = ndimage.find_objects(np.any(volume_ckji != 0, axis=0).astype(np.uint8))
    if not boxes:
        return IndexBox((0, 0, 0), volume_ckji.shape[1:])
    return IndexBox(tuple(s.start for s in boxes[0]), tuple(s.stop for s in boxes[0]))


def _nonzero_mask(volume_ckji: np.ndarray) -> np.ndarray:
    """bool (K, J, I): where any channel is not zero, holes filled."""
    return ndimage.binary_fill_holes(np.any(volume_ckji != 0, axis=0))


def _coarse_axis(geometry: Geometry, card: ModelCard) -> int | None:
    """The axis that nnU-Net resamples apart: the one of the largest spacing, where image or network are anisotropic enough.

    Two axes of the same large spacing are no slices, so none is set apart.
    """
    if card.anisotropy_threshold is None:
        return None
    for spacing in (np.array(geometry.spacing_kji_mm), np.array(card.spacing_kji_mm)):
        if spacing.max() / spacing.min() > card.anisotropy_threshold:
            largest = np.flatnonzero(np.isclose(spacing, spacing.max(), rtol=1e-9))
            return int(largest[0]) if len(largest) == 1 else None
    return None


def _previous_channels(
    seen_kji: np.ndarray,
    turned_ckji: np.ndarray,
    mask_kji: np.ndarray | None,
    region: IndexBox,
    card: ModelCard,
    grid: "_NetworkGrid",
) -> np.ndarray:
    """Labels of the stage before as channels of this one, cut to the region: as nnU-Net v1 does it, or v2."""
    labels_kji, values = seen_kji[region.slices], card.previous_labels
    if card.previous_labels_linear:
        return label_channels(labels_kji, None, values, grid.shape_kji, (1, 1, 1))
    nonzero_kji = _nonzero_mask(turned_ckji) if mask_kji is None else mask_kji
    return label_channels(labels_kji, nonzero_kji[region.slices], values, grid.shape_kji, grid.orders(1))


def _air_below(card: ModelCard, scalings: Sequence[IntensityScaling]) -> tuple[float, ...] | None:
    """What the card says of each channel, on its scale; None where it says nothing of one."""
    limits = [channel.air_below for channel in card.channels]
    if None in limits:
        return None
    return tuple(float(s.apply(np.array([limit]))[0]) for s, limit in zip(scalings, limits, strict=True))


@dataclass(frozen=True)
class _NetworkGrid:
    """Voxels of the network's grid, the axis along which values are taken from the nearest slice, and the device that interpolates."""

    shape_kji: tuple[int, int, int]
    coarse_axis: int | None
    device: str

    def orders(self, order: int) -> tuple[int, int, int]:
        return tuple(0 if axis == self.coarse_axis else order for axis in range(3))


def _fill_channel(
    image_kji: np.ndarray,
    stored_kji: np.ndarray,
    whole_source: np.ndarray | None,
    mask_kji: np.ndarray | None,
    region: IndexBox,
    measured: IndexBox,
    channel: Channel,
    card: ModelCard,
    grid: _NetworkGrid,
) -> IntensityScaling:
    """Write one channel, normalized and on the network's grid; its mean and deviation come from the box `measured`.

    Returns:
        How it was normalized.
    """
    normalization = channel.normalization
    mask_kji = mask_kji if normalization.masked else None
    seen = stored_kji[region.slices]
    statistics = stored_kji[measured.slices] if whole_source is None else whole_source
    statistics_mask = None if mask_kji is None or whole_source is not None else mask_kji[measured.slices]
    inside = None if mask_kji is None else mask_kji[region.slices]
    if card.normalize_first:
        scaling = fit_scaling(statistics, normalization, statistics_mask)

        def normalized(planes: slice) -> np.ndarray:
            return scaling.apply(seen[planes], None if inside is None else inside[planes])

        resize_planes(normalized, seen.shape, image_kji, grid.orders(3), card.clip_resampled, grid.device)
        return scaling
    resize_planes(
        lambda planes: seen[planes].astype(np.float32), seen.shape, image_kji, grid.orders(3), card.clip_resampled, grid.device
    )
    if inside is not None:
        inside = resize(inside.astype(np.float32), grid.shape_kji, grid.orders(1)) >= 0.5
    if region == measured and whole_source is None:
        statistics, statistics_mask = image_kji, inside
    scaling = fit_scaling(statistics, normalization, statistics_mask)
    image_kji[:] = scaling.apply(image_kji, inside)
    return scaling
