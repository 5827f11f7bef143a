"""What a learned window policy is for: the header of its file. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mednextseg.json_values import json_list, listed, number, one_of, text, whole_number
from mednextseg.machine import home_folder
from mednextseg.models.base_model import BaseModel

KINDS = ("dynamic", "bank")


@dataclass(frozen=True)
class PolicyFacts:
    """What the header says.

    Attributes:
        kind: "dynamic" (skip, crop or look at a window) or "bank" (which of several models looks at it).
        model: whose windows are decided on, and the best of a bank.
        others: the cheaper models of a bank, from the cheapest on.
        patch_kji: of the windows.
        crop_kji: of a cropped window; None for a bank.
        costs: multiply-adds of a window by each option, from the cheapest to the best.
        least: share of all multiply-adds that windows took at a budget of 0, in training.
        cases: names of the volumes that it was trained on.
    """

    kind: str
    model: BaseModel
    others: tuple[BaseModel, ...]
    patch_kji: tuple[int, int, int]
    crop_kji: tuple[int, int, int] | None
    costs: tuple[float, ...]
    least: float
    cases: tuple[str, ...]

    def __post_init__(self) -> None:
        one_of(self.kind, "kind", KINDS)
        for name in ("patch_kji", "crop_kji"):
            if getattr(self, name) is not None:
                sizes = tuple(whole_number(n, name, 1) for n in json_list(getattr(self, name), name))
                if len(sizes) != 3:
                    raise ValueError(f"{name} must be three sizes.")
                object.__setattr__(self, name, sizes)
        options = 3 if self.kind == "dynamic" else 1 + len(self.others)
        costs = tuple(number(cost, "a cost", low=0) for cost in json_list(self.costs, "costs"))
        if len(costs) != options or list(costs) != sorted(costs) or costs[-1] <= 0:
            raise ValueError("costs must rise, one for each option.")
        if (self.kind == "dynamic") != (self.crop_kji is not None) or (self.kind == "dynamic" and self.others):
            raise ValueError("crops are for the kind dynamic, and other models for the kind bank.")
        if self.crop_kji is not None and any(c > p for c, p in zip(self.crop_kji, self.patch_kji, strict=True)):
            raise ValueError("a crop must not be larger than its window.")
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "cases", tuple(text(case, "a case") for case in json_list(self.cases, "cases")))
        if not 0 <= number(self.least, "least") <= 1:
            raise ValueError("least must be a share.")

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "PolicyFacts":
        """From JSON values; ValueError for other fields or values."""
        names = [field.name for field in fields(cls)]
        if sorted(raw) != sorted(names):
            raise ValueError(f"it must have the fields {listed(names)}, got {listed(sorted(raw)) or 'none'}.")
        others = tuple(BaseModel.from_dict(entry) for entry in json_list(raw["others"], "others"))
        return cls(**{**raw, "model": BaseModel.from_dict(raw["model"]), "others": others})


def policy_file(model_id: str, kind: str) -> Path:
    """Where the policy of a model lies once it is installed."""
    return home_folder() / "policies" / f"{model_id}.{kind}.safetensors"
