"""What a run did, for people and for the record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.machine import processor_name
from mednextseg.segment.windows.memory_plan import MemoryPlan
from mednextseg.segment.windows.skip_map import LookedAt, skip_map
from mednextseg.segment.windows.sliding_window import WindowCount


@dataclass
class SegmentReport:
    """What a run did, for people and for the record.

    Attributes:
        model_id, model_version, weights_sha256, recipe: what makes the run reproducible.
        device, processor: where it ran.
        seconds_by_phase: the wait, part by part: "prepare" (check, resample, normalize), "network", "sum" (weigh and average windows),
            "labels" (resample and reduce class values), "clean up"; the command line adds "read" and "write".
        windows: counted cost.
        window_policy: which policy chose them; of several networks, the last one's.
        memory: predicted bytes.
        labels: what the labelmap holds, by number.
        volumes_ml: by label name.
        looked_at: for each run in a place of its own its parts, and which windows each of them looked at; not for the record.
        regions: where a coarse model found something to look at: "names", "bounds_mm" and "box_to_ras" of the box, whether "enlarged".
        coarse_model: id, version and weights_sha256 of that model.
        warnings: about the input; notes: what was done differently from what was asked, and why.
    """

    model_id: str
    model_version: str
    weights_sha256: tuple[str, ...]
    recipe: dict
    device: str
    processor: str = field(default_factory=processor_name)
    seconds_by_phase: dict[str, float] = field(default_factory=dict)
    windows: WindowCount = field(default_factory=WindowCount)
    window_policy: str = ""
    memory: MemoryPlan | None = None
    labels: list[Label] = field(default_factory=list)
    volumes_ml: dict[str, float] = field(default_factory=dict)
    looked_at: list[list[LookedAt]] = field(default_factory=lambda: [[]], repr=False)
    regions: list[dict] = field(default_factory=list)
    coarse_model: dict | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict:
        """JSON-ready values."""
        values = asdict(replace(self, looked_at=[]))
        values.pop("looked_at")
        return values

    @property
    def has_skipped(self) -> bool:
        """Whether there was a window that the network did not look at, or only at a part of it."""
        return self.windows.skip + self.windows.crop > 0

    def skip_map_kji(self, geometry: Geometry) -> np.ndarray:
        """What the network did not look at, or not as often as in a full run: numbers of `SKIP_LABELS`, uint8, on the volume's grid."""
        return skip_map(self.looked_at, geometry)


def volumes_ml(labelmap_kji: np.ndarray, labels: Sequence[Label], geometry: Geometry) -> dict[str, float]:
    """Volume of each label in milliliters, by name, of a labelmap or of layers."""
    counts = np.zeros(np.iinfo(labelmap_kji.dtype).max + 1, dtype=np.int64)
    for plane in labelmap_kji.reshape(-1, *labelmap_kji.shape[-2:]):  # bincount makes 64 bit numbers of what it is given
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return {label.name: float(counts[label.value] * geometry.voxel_volume_mm3 / 1000) for label in labels}
