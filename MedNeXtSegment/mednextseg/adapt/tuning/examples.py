"""A case as the network sees it: on the base's grid, axes and intensities, with the label of every voxel."""

from dataclasses import dataclass

import numpy as np

from mednextseg.adapt.tuning.cases import LabeledVolume
from mednextseg.adapt.tuning.label_plan import LabelPlan
from mednextseg.geometry import Geometry
from mednextseg.json_values import listed
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.prepared_volume import resample_labels
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segmentation_io import Segmentation

# Less than this share of what was drawn inside the image: it is the segmentation of another image.
_LEAST_INSIDE = 0.5
_MARGIN_MM = 4.0


@dataclass(frozen=True)
class Example:
    """What a training gets of a case.

    Attributes:
        image_ckji: float32 on the network's grid.
        classes_kji: uint8, same grid.
        absent: classes that were not looked for in this case.
    """

    name: str
    image_ckji: np.ndarray
    classes_kji: np.ndarray
    absent: frozenset[int]


def make_example(name: str, case: LabeledVolume, plan: LabelPlan, card: ModelCard) -> Example:
    """Turn, normalize and resample a case as the base wants it.

    Raises:
        ValueError: naming the case, where the image does not suit the base or the segmentation lies elsewhere.
    """
    try:
        volume_ckji = checked_channels(case.volume, case.geometry, card)
    except ValueError as error:
        raise ValueError(f"the case {listed([name])} cannot be used: {error}") from error
    segmentation = plan.named(case.segmentation)
    _check_place(name, case, segmentation)
    prepared = prepare(volume_ckji, case.geometry, card, region_of_case(case, card))
    classes_kji = resample_labels(plan.classes(segmentation), segmentation.geometry, prepared.network_geometry)
    return Example(name, prepared.image_ckji, classes_kji, plan.absent(segmentation))


def region_of_case(case: LabeledVolume, card: ModelCard) -> RegionOfInterest | None:
    """For a model of small regions and an image that is larger: the box around what was drawn; else None, the whole image."""
    try:
        check_region(case.geometry, card, None)
    except ValueError:
        pass
    else:
        return None
    drawn_kji = np.argwhere(case.segmentation.labelmap_kji > 0)
    if not len(drawn_kji):
        return None
    ras = case.segmentation.geometry.ras_from_ijk(drawn_kji[:, ::-1])
    margin_mm = card.region_from.margin_mm if card.region_from is not None else _MARGIN_MM
    low, high = ras.min(axis=0) - margin_mm, ras.max(axis=0) + margin_mm
    return RegionOfInterest(tuple(float(edge) for pair in zip(low, high, strict=True) for edge in pair))


def _check_place(name: str, case: LabeledVolume, segmentation: Segmentation) -> None:
    """A segmentation may have another grid than its image, but must lie in it."""
    if segmentation.geometry.matches(case.geometry):
        return
    drawn_kji = np.argwhere(segmentation.labelmap_kji > 0)
    if not len(drawn_kji):
        return
    inside = _share_inside(segmentation.geometry.ras_from_ijk(drawn_kji[:, ::-1]), case.geometry)
    if inside < _LEAST_INSIDE:
        raise ValueError(
            f"only {inside:.0%} of the segmentation of {listed([name])} lies inside its image; check that the two belong together."
        )


def _share_inside(points_ras: np.ndarray, geometry: Geometry) -> float:
    ijk = geometry.ijk_from_ras(points_ras)
    return float(((ijk > -0.51) & (ijk < np.array(geometry.shape_ijk) - 0.49)).all(axis=1).mean())
