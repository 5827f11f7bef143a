"""Figures of the report, as PNG: box plots, Bland-Altman plots, and three planes through an error with both contours."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mednextseg.evaluate.case import AlignedCase
from mednextseg.geometry import Geometry, axis_map
from mednextseg.labels.names import LabelPair
from mednextseg.segment.prepare.resampling import resample_affine

_REFERENCE_COLOR, _PREDICTION_COLOR = "#1a9850", "#d73027"
_DOTS_PER_INCH = 110
# How slices are shown: the patient's right on the left, anterior and head up (radiological convention).
_VIEW_ORIENTATION = "LPS"
_MARGIN_MM = 15.0
_LETTERS_SIDE_BY_SIDE = 24  # longer names under the boxes are slanted


def box_plot(values: Mapping[str, Sequence[float]], title: str, unit: str) -> bytes:
    """One box a label with every case as a dot."""
    figure = Figure(figsize=(max(2.9, 1.2 + 0.7 * len(values)), 3.4), dpi=_DOTS_PER_INCH)
    axes = figure.subplots()
    places = np.arange(1, len(values) + 1)
    axes.boxplot(list(values.values()), positions=places, widths=0.55, showfliers=False, medianprops={"color": "black"})
    spread = np.random.default_rng(0)
    for place, cases in zip(places, values.values(), strict=True):
        axes.plot(place + spread.uniform(-0.16, 0.16, len(cases)), cases, "o", markersize=3.5, alpha=0.55, color="#2166ac")
    is_crowded = sum(map(len, values)) > _LETTERS_SIDE_BY_SIDE
    axes.set_xticks(places, list(values), rotation=35 if is_crowded else 0, ha="right" if is_crowded else "center")
    axes.set_ylabel(unit)
    axes.set_title(title)
    axes.grid(axis="y", alpha=0.3)
    return _png(figure)


def bland_altman(reference_ml: Sequence[float], prediction_ml: Sequence[float], title: str) -> bytes:
    """Difference of two volumes against their mean, with the bias and the limits of agreement (bias ± 1.96 standard deviations)."""
    reference, prediction = np.asarray(reference_ml, dtype=float), np.asarray(prediction_ml, dtype=float)
    difference, mean = prediction - reference, (prediction + reference) / 2
    figure = Figure(figsize=(4.2, 3.2), dpi=_DOTS_PER_INCH)
    axes = figure.subplots()
    axes.plot(mean, difference, "o", markersize=4, alpha=0.65, color="#2166ac")
    bias = float(difference.mean())
    axes.axhline(bias, color="black", linewidth=1, label=f"bias {bias:+.3g} ml")
    if len(difference) > 1:
        limit = 1.96 * float(difference.std(ddof=1))
        for level in (bias - limit, bias + limit):
            axes.axhline(level, color="black", linewidth=1, linestyle="--")
        axes.plot([], [], "k--", linewidth=1, label=f"limits {bias - limit:+.3g} to {bias + limit:+.3g} ml")
    axes.axhline(0, color="gray", linewidth=0.6)
    axes.set_xlabel("mean of both volumes (ml)")
    axes.set_ylabel("prediction minus reference (ml)")
    axes.set_title(title)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)  # below: it hides no case
    return _png(figure)


def error_views(
    aligned: AlignedCase,
    pair: LabelPair,
    place_ras: Sequence[float],
    image_kji: np.ndarray | None = None,
    image_geometry: Geometry | None = None,
) -> bytes:
    """Axial, coronal and sagittal slice through a point, with the contours of reference (green) and prediction (red).

    Args:
        place_ras: where the planes cross, in mm.
        image_kji, image_geometry: intensities to show below, on any grid; without them the background stays dark.
    """
    turn = axis_map(aligned.geometry.orientation, _VIEW_ORIENTATION)
    geometry = turn.apply_geometry(aligned.geometry)
    truth, guess = (turn.apply(mask) for mask in aligned.masks(pair))
    background = np.zeros(geometry.shape_kji, dtype=np.float32)
    if image_kji is not None and image_geometry is not None:
        background = resample_affine(image_kji, image_geometry, geometry, order=1)
    center = np.round(geometry.ijk_from_ras(place_ras)).astype(int)[::-1]
    display_range = np.percentile(background, (1, 99))
    figure = Figure(figsize=(9.0, 3.3), dpi=_DOTS_PER_INCH)
    for axes, (name, axis) in zip(figure.subplots(1, 3), (("axial", 0), ("coronal", 1), ("sagittal", 2)), strict=True):
        rows, columns = (other for other in range(3) if other != axis)
        aspect = geometry.spacing_kji_mm[rows] / geometry.spacing_kji_mm[columns]
        plane = center[axis]
        shown = [volume.take(plane, axis=axis) for volume in (background, truth, guess)]
        # Rows run to posterior in the axial plane (shown downwards) and to the head in the others (shown upwards).
        axes.imshow(
            shown[0],
            cmap="gray",
            vmin=display_range[0],
            vmax=display_range[1],
            aspect=aspect,
            origin="upper" if axis == 0 else "lower",
        )
        for mask, color in ((shown[1], _REFERENCE_COLOR), (shown[2], _PREDICTION_COLOR)):
            if mask.any() and not mask.all():
                axes.contour(mask, levels=[0.5], colors=[color], linewidths=1.3)
        axes.plot(center[columns], center[rows], "+", color="#ffd92f", markersize=9)
        _zoom(axes, shown[1] | shown[2], geometry, rows, columns, (center[rows], center[columns]))
        axes.set_title(name, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.92, 0.04)
    return _png(figure, is_tight=False)


def _zoom(axes: object, mask: np.ndarray, geometry: Geometry, rows: int, columns: int, center: tuple[int, int]) -> None:
    """Show the masks and the cross with a margin, keeping the direction of the axes."""
    points = np.vstack([np.argwhere(mask), center])
    for axis, limits, setter, column in (
        (rows, axes.get_ylim(), axes.set_ylim, 0),
        (columns, axes.get_xlim(), axes.set_xlim, 1),
    ):
        margin = _MARGIN_MM / geometry.spacing_kji_mm[axis]
        low = max(points[:, column].min() - margin, -0.5)
        high = min(points[:, column].max() + margin, geometry.shape_kji[axis] - 0.5)
        setter((low, high) if limits[0] < limits[1] else (high, low))


def _png(figure: Figure, is_tight: bool = True) -> bytes:
    """Cut to what is drawn, where that is tight; it takes drawing it twice."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight" if is_tight else None)
    return stream.getvalue()
