"""What a run is asked to do beyond naming a model: the JSON that panel, console and command line share."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from mednextseg.models.model_card import ComponentRule, ModelCard, Postprocessing
from mednextseg.models.normalization import Normalization


@dataclass(frozen=True)
class SegmentRecipe:
    """What an automatic run is asked to do; None means what the model card says.

    Attributes:
        overlap: of neighboring windows, in [0, 1).
        tta: average over several views of every window: by default the mirror images the card allows.
        tta_views: names of the views beside the window itself, see mirrored_views.py; they may go beyond what the card allows.
        ensemble: average over all networks of a model that has several; False runs the first one only.
        batch_size: windows at once.
        window_policy: "full" looks at every window.
        precision: "fp32", or "bf16" where the processor has it (faster, not exact).
        normalization: of intensities by channel name; replaces the card's for the channels named.
        component_rules: clean-up of several labels together, before that of single ones; () for none.
        postprocessing: clean-up by label name; replaces the card's for the labels named.
    """

    overlap: float | None = None
    tta: bool = False
    tta_views: tuple[str, ...] | None = None
    ensemble: bool = True
    batch_size: int = 1
    window_policy: str = "full"
    precision: str = "fp32"
    normalization: dict[str, Normalization] = field(default_factory=dict)
    component_rules: tuple[ComponentRule, ...] | None = None
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
        values = dict(raw)
        try:
            values["postprocessing"] = {n: Postprocessing(**step) for n, step in raw.get("postprocessing", {}).items()}
            values["normalization"] = {n: Normalization(**scaling) for n, scaling in raw.get("normalization", {}).items()}
            if raw.get("component_rules") is not None:
                values["component_rules"] = tuple(ComponentRule.from_dict(rule) for rule in raw["component_rules"])
            if raw.get("tta_views") is not None:
                values["tta_views"] = tuple(raw["tta_views"])
            return cls(**values)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"the recipe has a field of the wrong form: {error}.") from error

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

    def applied_to(self, card: ModelCard) -> ModelCard:
        """The card with this recipe's normalization and clean-up in place of its own.

        Raises:
            ValueError: for a channel or label that the model lacks.
        """
        names = [channel.name for channel in card.channels]
        unknown = set(self.normalization) - set(names)
        if unknown:
            raise ValueError(
                f"the recipe normalizes the channel {', '.join(sorted(unknown))}; the model has: {', '.join(names)}."
            )
        rules = card.component_rules if self.component_rules is None else self.component_rules
        for name in (*self.postprocessing, *(name for rule in rules for name in rule.labels)):
            card.label_named(name)
        return replace(
            card,
            channels=tuple(replace(c, normalization=self.normalization.get(c.name, c.normalization)) for c in card.channels),
            component_rules=rules,
            postprocessing={**card.postprocessing, **self.postprocessing},
        )
