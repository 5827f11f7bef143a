"""What a run is asked to do beyond naming a model: the JSON that panel, console and command line share."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from mednextseg.json_values import json_list, json_object, listed, number, one_of, read_json, text, whole_number, yes_or_no
from mednextseg.models.clean_up import ComponentRule, Postprocessing
from mednextseg.models.model_card import ModelCard
from mednextseg.models.normalization import Normalization
from mednextseg.models.policy_facts import KINDS as LEARNED

_WINDOW_POLICIES = ("full", "background", "coarse", *LEARNED)
_PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class SegmentRecipe:
    """What an automatic run is asked to do; None means what the model card says.

    Attributes:
        overlap: of neighboring windows, in [0, 1).
        tta: average over several views of every window: by default the mirror images the card allows. A card may ask for it itself.
        tta_views: names of the views beside the window itself, see mirrored_views.py; they may go beyond what the card allows.
        ensemble: average over all networks of a model that has several; False runs the first one only.
        batch_size: windows at once.
        budget: share of the windows to look at, in [0, 1]; 1 looks at all. Windows where structures are found are looked at all the same.
        window_policy: "full" looks at every window, "background" at those that are not only air, "coarse" at those that a first look and
            the budget choose, "dynamic" and "bank" at those that a trained policy of the model and the budget choose; None with a budget
            below 1 for the policy that is installed for the model, else "coarse"; with a budget of 1 for "background" where somebody
            says what air is.
        margin_mm: how far around what the first look found every window is looked at.
        air_below: by channel name, the intensity below which a voxel is air; replaces the card's for the channels named.
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
    budget: float = 1.0
    window_policy: str | None = None
    margin_mm: float = 10.0
    air_below: dict[str, float] = field(default_factory=dict)
    precision: str = "fp32"
    normalization: dict[str, Normalization] = field(default_factory=dict)
    component_rules: tuple[ComponentRule, ...] | None = None
    postprocessing: dict[str, Postprocessing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.overlap is not None and not 0 <= number(self.overlap, "the recipe's overlap") < 1:
            raise ValueError(f"the recipe's overlap must be at least 0 and below 1, got {self.overlap}.")
        for name in ("tta", "ensemble"):
            yes_or_no(getattr(self, name), f"the recipe's {name}")
        for view in self.tta_views or ():
            text(view, "a view of the recipe's tta_views")
        object.__setattr__(self, "batch_size", whole_number(self.batch_size, "the recipe's batch_size", 1))
        if self.window_policy is not None:
            one_of(self.window_policy, "the recipe's window_policy", _WINDOW_POLICIES)
        if not 0 <= number(self.budget, "the recipe's budget") <= 1:
            raise ValueError(f"the recipe's budget must be a share from 0 to 1, got {self.budget}.")
        if self.budget < 1 and self.window_policy in ("full", "background"):
            raise ValueError(
                f'the recipe\'s window_policy "{self.window_policy}" has no use for a budget below 1; take "coarse", or leave it out.'
            )
        number(self.margin_mm, "the recipe's margin_mm", low=0)
        for name, below in json_object(self.air_below, "the recipe's air_below").items():
            number(below, f"the recipe's air_below of {name}")
        one_of(self.precision, "the recipe's precision", _PRECISIONS)

    @classmethod
    def from_dict(cls, raw: dict) -> "SegmentRecipe":
        """Build from JSON values.

        Raises:
            ValueError: for a field that recipes do not have, or a value that is not allowed.
        """
        raw = json_object(raw, "a recipe")
        known = {f.name for f in fields(cls)}
        unknown = set(raw) - known
        if unknown:
            raise ValueError(f"a recipe has no field {listed(sorted(unknown))}; it has: {listed(sorted(known))}.")
        values = dict(raw)
        try:
            for name, of_one in (("postprocessing", Postprocessing), ("normalization", Normalization)):
                table = json_object(raw.get(name, {}), f"the recipe's {name}")
                values[name] = {
                    key: of_one(**json_object(entry, f"the recipe's {name} of {key}")) for key, entry in table.items()
                }
            if raw.get("component_rules") is not None:
                rules = json_list(raw["component_rules"], "the recipe's component_rules")
                values["component_rules"] = tuple(ComponentRule.from_dict(rule) for rule in rules)
            if raw.get("tta_views") is not None:
                values["tta_views"] = tuple(json_list(raw["tta_views"], "the recipe's tta_views"))
            return cls(**values)
        except TypeError as error:  # of a field that the part of a recipe does not have
            raise ValueError(f"the recipe has a field of the wrong form: {error}.") from error

    @classmethod
    def from_json(cls, path: str | Path) -> "SegmentRecipe":
        """Read a recipe file; raises ValueError as `from_dict` does, and for a file that is not JSON."""
        return cls.from_dict(read_json(path))

    def to_dict(self) -> dict:
        """The recipe as JSON-ready values."""
        return asdict(self)

    def applied_to(self, card: ModelCard) -> ModelCard:
        """The card with this recipe's normalization and clean-up in place of its own.

        Raises:
            ValueError: for a channel or label that the model lacks.
        """
        names = [channel.name for channel in card.channels]
        for told, verb in ((self.normalization, "normalizes"), (self.air_below, "tells air_below of")):
            if unknown := set(told) - set(names):
                raise ValueError(f"the recipe {verb} the channel {listed(sorted(unknown))}; the model has: {listed(names)}.")
        if self.normalization and card.preparation:
            raise ValueError(
                f"the model {card.id} prepares images in steps of its own, so a recipe cannot normalize them; leave normalization out."
            )
        if self.window_policy == "background":
            lacking = [c.name for c in card.channels if self.air_below.get(c.name, c.air_below) is None]
            if lacking or card.preparation:
                raise ValueError(
                    f'the window policy "background" needs to know what is air, and nothing tells it of {listed(lacking or names)} of '
                    f"{card.id}; give the recipe air_below, or leave window_policy out."
                )
        rules = card.component_rules if self.component_rules is None else self.component_rules
        for name in (*self.postprocessing, *(name for rule in rules for name in rule.labels)):
            card.label_named(name)
        return replace(
            card,
            channels=tuple(
                replace(
                    c,
                    normalization=self.normalization.get(c.name, c.normalization),
                    air_below=self.air_below.get(c.name, c.air_below),
                )
                for c in card.channels
            ),
            component_rules=rules,
            postprocessing={**card.postprocessing, **self.postprocessing},
        )
