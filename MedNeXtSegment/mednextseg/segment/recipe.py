"""What a run is asked to do beyond naming a model: the JSON that panel, console and command line share."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from mednextseg.models.model_card import ModelCard, Postprocessing


@dataclass(frozen=True)
class SegmentRecipe:
    """Settings of an automatic run; None means what the model card says.

    Attributes:
        overlap: of neighbouring windows, in [0, 1).
        tta: average over the mirror images the card allows.
        ensemble: average over all networks of a model that has several; False runs the first one only.
        batch_size: windows at once.
        window_policy: "full" looks at every window.
        precision: "fp32", or "bf16" where the processor has it (faster, not exact).
        postprocessing: clean-up by label name; replaces the card's for the labels named.
    """

    overlap: float | None = None
    tta: bool = False
    ensemble: bool = True
    batch_size: int = 1
    window_policy: str = "full"
    precision: str = "fp32"
    postprocessing: dict[str, Postprocessing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.overlap is not None and not 0 <= self.overlap < 1:
            raise ValueError(f"the recipe's overlap must be at least 0 and below 1, got {self.overlap}.")
        if self.batch_size < 1:
            raise ValueError(f"the recipe's batch_size must be at least 1, got {self.batch_size}.")
        if self.window_policy not in ("full",):
            raise ValueError(f'the recipe\'s window_policy must be "full", got {self.window_policy!r}.')
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f'the recipe\'s precision must be "fp32" or "bf16", got {self.precision!r}.')

    @classmethod
    def from_dict(cls, raw: dict) -> "SegmentRecipe":
        """Build from JSON values.

        Raises:
            ValueError: for a field that recipes do not have, or a value that is not allowed.
        """
        known = {f.name for f in fields(cls)}
        unknown = set(raw) - known
        if unknown:
            raise ValueError(f"a recipe has no field {', '.join(sorted(unknown))}; it has: {', '.join(sorted(known))}.")
        steps = {name: Postprocessing(**step) for name, step in raw.get("postprocessing", {}).items()}
        return cls(**{**raw, "postprocessing": steps})

    @classmethod
    def from_json(cls, path: str | Path) -> "SegmentRecipe":
        """Read a recipe file; raises ValueError as `from_dict` does, and for a file that is not JSON."""
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not valid JSON ({error}).") from error
        return cls.from_dict(raw)

    def to_dict(self) -> dict:
        """The recipe as JSON-ready values."""
        return asdict(self)

    def postprocessing_for(self, card: ModelCard) -> dict[str, Postprocessing]:
        """The card's clean-up with this recipe's in front."""
        return {**card.postprocessing, **self.postprocessing}
