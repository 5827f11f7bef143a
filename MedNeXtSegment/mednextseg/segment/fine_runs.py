"""The fine half of a coarse-to-fine run: a model in one box after the other, their results in one labelmap, their costs in one report."""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.labels.sides import on_sides
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.progress import Progress, SharedProgress
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.segment_report import SegmentReport, volumes_ml
from mednextseg.segment.windows.coarse_to_fine import FoundRegion, faces_touched
from mednextseg.segment.windows.sliding_window import WindowCount

COARSE_PHASE = "find region"


def labels_by_side(card: ModelCard, kept: Sequence[Label]) -> dict[str | None, list[Label]]:
    """What the labels of a run in found regions are called: on each side, or under None as they are."""
    sides = card.region_from.sides(card.labels)
    return on_sides(kept, sides) if sides else {None: list(kept)}


class FineRuns:
    """Runs of the fine model.

    Args:
        volume, geometry, model, recipe, device, progress, cancelled: as for `find_and_segment`.
        kept: the card's labels that are wanted.

    Attributes:
        labelmap_kji: what the runs so far have labeled.
        labels: what it holds.
        reports: of each run; regions: of each box that was looked at, for the record.
        notes: sentences for the user.
    """

    def __init__(
        self,
        volume: np.ndarray,
        geometry: Geometry,
        model: LoadedModel,
        kept: Sequence[Label],
        recipe: SegmentRecipe,
        device: str,
        progress: Callable[[Progress], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._volume, self.geometry, self._model, self.card = volume, geometry, model, model.card
        self._kept, self._recipe, self._device, self._cancelled = kept, recipe, device, cancelled
        self._progress = SharedProgress(progress)
        self._by_side = labels_by_side(self.card, kept)
        self.labels = [label for labels in self._by_side.values() for label in labels]
        largest = max((label.value for label in self.labels), default=0)
        self.labelmap_kji = np.zeros(geometry.shape_kji, dtype=np.uint8 if largest < 256 else np.int16)
        self.reports: list[SegmentReport] = []
        self.regions: list[dict] = []
        self.notes: list[str] = []

    def look_at(self, regions: Sequence[FoundRegion]) -> None:
        """Label what is in these boxes; see `find_and_segment` for boxes that turn out too small."""
        owners_kji = np.zeros(self.geometry.shape_kji, dtype=np.int16)  # number of the region that a voxel's label came from
        for number, region in enumerate(regions, start=1):
            place = (number - 1) / len(regions), number / len(regions)
            part_kji, looked_at = self._fitted(region, place)
            if looked_at is None:
                self.labelmap_kji = part_kji.astype(self.labelmap_kji.dtype)
                self.regions = []
                return
            wins_kji = part_kji > 0
            if not wins_kji.any():
                self.notes.append(f"{self.card.id} found nothing of its own in the region of {_named(region)}.")
            _leave_to_nearer(wins_kji, owners_kji, regions, number, self.geometry)
            self.labelmap_kji[wins_kji] = self._numbers(region.side)[part_kji[wins_kji]]
            owners_kji[wins_kji] = number
            enlarged = looked_at != region
            self.regions.append({"names": list(region.names), **looked_at.roi.to_dict(), "enlarged": enlarged})
        if len(regions) > 1 and None in self._by_side:  # a label's largest part is that of all boxes
            card = self._recipe.applied_to(self.card)
            self.labelmap_kji = clean_labels(self.labelmap_kji, card, self.geometry.voxel_volume_mm3)

    def look_everywhere(self, reason: str) -> None:
        """Label the whole volume, because there is no box.

        Raises:
            ValueError: where the model only knows boxes around its structure.
        """
        if not self._knows_whole_volumes:
            raise ValueError(
                f"{reason}, so that {self.card.id} has no region to look at; give a region of interest, or insist on the whole "
                "volume (--whole on the command line)."
            )
        self.notes.append(f"{reason}, so the whole volume was looked at.")
        self.labelmap_kji = self._run(None, (0, 1))

    @property
    def _knows_whole_volumes(self) -> bool:
        return not self.card.needs_region and None in self._by_side

    def _fitted(self, region: FoundRegion, place: tuple[float, float]) -> tuple[np.ndarray, FoundRegion | None]:
        """Labels in a box that is enlarged once if need be, and the box; None for the whole volume."""
        part_kji, looked_at = self._run(region, place), region
        if self.card.region_from.together:  # the crop of the model's own program, which is not enlarged
            return part_kji, region
        touched = faces_touched(part_kji > 0, self.geometry, region)
        if touched.any():
            looked_at = region.enlarged(touched, self.card.region_from.margin_mm)
            part_kji = self._run(looked_at, place)
            if faces_touched(part_kji > 0, self.geometry, looked_at).any():
                reason = f"{self.card.id} found more than the region of {_named(region)} holds, even enlarged"
                if self._knows_whole_volumes:
                    self.notes.append(f"{reason}, so the whole volume was looked at.")
                    return self._run(None, place), None
                self.notes.append(f"{reason}; look at its borders, or give a region of interest.")
        return part_kji, looked_at

    def _run(self, region: FoundRegion | None, place: tuple[float, float]) -> np.ndarray:
        labelmap_kji, report = segment(
            self._volume,
            self.geometry,
            self._model,
            None if region is None else region.roi,
            [label.name for label in self._kept],
            self._recipe,
            self._device,
            self._progress.part(*place),
            self._cancelled,
            whole=True,  # a box that covers a small volume is no slip
        )
        self.reports.append(report)
        return labelmap_kji

    def _numbers(self, side: str | None) -> np.ndarray:
        """For every number of the card's labels the one in the labelmap."""
        numbers = np.zeros(max(label.value for label in self.card.labels) + 1, dtype=self.labelmap_kji.dtype)
        for label, named in zip(self._kept, self._by_side[side], strict=True):
            numbers[label.value] = named.value
        return numbers


def joined_report(runs: FineRuns, coarse: ModelCard, coarse_report: SegmentReport) -> SegmentReport:
    """What all runs together did and cost, as one report of the fine model."""
    report, all_reports = runs.reports[0], [coarse_report, *runs.reports]
    seconds = {COARSE_PHASE: round(sum(coarse_report.seconds_by_phase.values()), 3)}
    for part in runs.reports:
        for phase, spent in part.seconds_by_phase.items():
            seconds[phase] = round(seconds.get(phase, 0.0) + spent, 3)
    report.seconds_by_phase, report.windows = seconds, reduce(WindowCount.plus, [part.windows for part in all_reports])
    report.looked_at = [place for part in runs.reports for place in part.looked_at]
    report.memory = max((part.memory for part in all_reports), key=lambda memory: memory.total)
    report.labels, report.volumes_ml = runs.labels, volumes_ml(runs.labelmap_kji, runs.labels, runs.geometry)
    report.regions = runs.regions
    report.coarse_model = {"id": coarse.id, "version": coarse.version, "weights_sha256": coarse.weights_sha256}
    report.warnings = list(dict.fromkeys(line for part in all_reports for line in part.warnings))
    found = [f"{coarse.id} found {_placed(region)}." for region in runs.regions]
    missing = (
        []
        if not runs.regions or runs.card.region_from.together
        else [
            f"{coarse.id} found no {name}, so nothing was looked for there."
            for name in runs.card.region_from.labels
            if not any(name in region["names"] for region in runs.regions)
        ]
    )
    of_runs = [line for part in all_reports for line in part.notes]
    report.notes = list(dict.fromkeys([*found, *missing, *runs.notes, *of_runs]))
    return report


def _placed(region: dict) -> str:
    low_high = np.array(region["bounds_mm"]).reshape(3, 2).round().astype(int)
    place = ", ".join(f"{axis} {low} to {high}" for axis, (low, high) in zip("RAS", low_high, strict=True))
    enlarged = ", enlarged once" if region["enlarged"] else ""
    return f"{' and '.join(region['names'])} (looked at {place} mm{enlarged})"


def _named(region: FoundRegion) -> str:
    return " and ".join(region.names)


def _leave_to_nearer(
    wins_kji: np.ndarray, owners_kji: np.ndarray, regions: Sequence[FoundRegion], number: int, geometry: Geometry
) -> None:
    """Take out of `wins_kji` what another region has labeled and is nearer to; owners and number count regions from 1."""
    contested = np.argwhere(wins_kji & (owners_kji > 0))
    if len(contested):
        points_ras = geometry.ras_from_ijk(contested[:, ::-1])
        centers = np.array([np.add(region.low_ras, region.high_ras) / 2 for region in regions])
        others = centers[owners_kji[tuple(contested.T)] - 1]
        is_nearer = np.linalg.norm(points_ras - centers[number - 1], axis=1) < np.linalg.norm(points_ras - others, axis=1)
        wins_kji[tuple(contested[~is_nearer].T)] = False
