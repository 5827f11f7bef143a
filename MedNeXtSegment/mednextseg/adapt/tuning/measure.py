"""A model on labeled cases, run as a user would run it; results are kept, so that nothing is measured twice."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mednextseg.adapt.tuning.cases import LabeledVolume
from mednextseg.adapt.tuning.displacement import Displacement, displacement
from mednextseg.adapt.tuning.examples import region_of_case
from mednextseg.adapt.tuning.label_plan import LabelPlan
from mednextseg.evaluate.case import CaseResult, evaluate_case
from mednextseg.files import write_text
from mednextseg.json_values import read_json_object
from mednextseg.labels.names import canonical_name
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.find_and_segment import find_and_segment
from mednextseg.segmentation_io import Segmentation


@dataclass(frozen=True)
class Measured:
    """What was measured on one case: the figures, and whether what was drawn lies elsewhere than what was found (None: unknown)."""

    result: CaseResult
    displacement: Displacement | None

    def to_dict(self) -> dict:
        """JSON-ready values."""
        moved = None if self.displacement is None else asdict(self.displacement)
        return {"result": self.result.to_dict(), "displacement": moved}

    @classmethod
    def from_dict(cls, raw: dict) -> "Measured":
        """The inverse of `to_dict`."""
        moved = None if raw["displacement"] is None else Displacement(**raw["displacement"])
        return cls(CaseResult.from_dict(raw["result"]), moved)


def measured(
    model: LoadedModel,
    case: LabeledVolume,
    name: str,
    plan: LabelPlan,
    file: Path,
    device: str = "cpu",
    cancelled: Callable[[], bool] | None = None,
) -> Measured:
    """The result of one case, from the JSON file where that is there already, else measured and kept there.

    The model runs with its card's settings; in an image that is too large for a model of small regions, in the region around what was
    drawn, which is the same before and after.
    """
    if file.is_file():
        return Measured.from_dict(read_json_object(file))
    reference = plan.named(case.segmentation)
    roi = region_of_case(case, model.card)
    labelmap_kji, report = find_and_segment(
        case.volume, case.geometry, model, roi=roi, device=device, cancelled=cancelled, whole=roi is None
    )
    prediction = Segmentation(labelmap_kji, case.geometry, _table(report.labels, reference))
    found = Measured(evaluate_case(name, reference, prediction), displacement(reference, prediction))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found.to_dict()))
    return found


def _table(predicted: Sequence, reference: Segmentation) -> tuple:
    """The labels of a prediction; what it does not know counts as not found."""
    known = {canonical_name(label.name) for label in predicted}
    free = 1 + max(label.value for label in predicted)
    unknown = [label for label in reference.labels if canonical_name(label.name) not in known]
    return (*predicted, *(type(label)(free + n, label.name, label.color) for n, label in enumerate(unknown)))
