"""What a training run of ClickNet is asked to do: the JSON file of `mednextseg train --task refine --recipe`."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from mednextseg.adapt.recipe_file import check_share, frozen, recipe_values
from mednextseg.json_values import json_object, listed, text, whole_number

_STAGED = ("view_size_px", "group_shares", "start_shares", "continue_share", "max_rounds", "batch_size")
SOURCE_KINDS = ("images_2d", "instances_2d", "binary_masks_2d", "volumes", "unlabeled_volumes", "label_maps")
# As older recipes, those of bundled models among them, write fields of a source and its kinds.
_OLD_FIELDS = {"licence": "license", "windows_hu": "display_ranges_hu"}
_OLD_KINDS = {"unlabelled_volumes": "unlabeled_volumes"}


@dataclass(frozen=True)
class ClickNetSource:
    """One data set.

    Attributes:
        name: short name, used in tables and the model card.
        kind: how the folder is laid out, one of SOURCE_KINDS (see sources.py).
        folder: relative to the data folder.
        pairs: for volumes, (image file, labelmap file); for unlabeled volumes and label maps, (file, "").
        axes_kji: for volumes, along which axes slices are cut.
        display_ranges_hu: for CT volumes, intensities (black, white), one pair of which is drawn for a slice; empty for
            percentiles.
        slices_per_axis: of each volume, evenly spaced.
        most_cases: of volumes in a folder, the first so many of a list; 0 for all.
        objects: of volumes, the labels that are objects; empty for all.
        license: as printed on the model card.
    """

    name: str
    kind: str
    folder: str
    pairs: tuple[tuple[str, str], ...] = ()
    axes_kji: tuple[int, ...] = (0, 1, 2)
    display_ranges_hu: tuple[tuple[float, float], ...] = ()
    slices_per_axis: int = 12
    most_cases: int = 0
    objects: tuple[int, ...] = ()
    license: str = ""

    def __post_init__(self) -> None:
        if self.kind not in SOURCE_KINDS:
            raise ValueError(f'source "{self.name}" is of kind {self.kind!r}; allowed are {listed(SOURCE_KINDS)}.')


@dataclass(frozen=True)
class ClickNetRecipe:
    """Network, data, simulated prompts and schedule of one training run.

    Attributes:
        id, title: of the model package that comes out.
        evaluation_only: further sets never learned from, which only the final evaluation reads.
        widths, deepest_blocks: the network, as in `build_click_net`.
        training: sets whose training part is learned from.
        held_out: sets of which nothing is ever learned; validation looks at the `val` lists of the others as well.
        group_shares: how often a fresh sample is a real object, a region of an image, a synthetic image.
        view_size_px: side of the square view the network is trained on.
        disk_radius_px: of a click in the network's view.
        start_shares: how a fresh session starts: box, one click, stroke (a line across the object, seen as clicks), box and click, several
            clicks, a degraded or displaced mask with clicks, a degraded or neighboring mask alone.
        continue_share: probability that a session goes on with one more click instead of giving way to a fresh one.
        max_rounds: a session is at most this long.
        batch_size, max_steps, learning_rate, weight_decay, warmup_steps, ema_decay: of AdamW with a cosine schedule.
        bfloat16: run the network in bfloat16; 1.6 times as fast on a CPU with AVX512-BF16, slower on one without.
        validate_every: steps between validations and checkpoints.
        kept_of_start: share of the weights that a run started from in those it packages, the rest being what it learned: the
            mean does well on new sets and on old ones (Wortsman et al. 2022, arXiv 2109.01903).
        region_slices: of a set, at most so many have their regions taken for objects.
        stages: what changes during training, each with "from_step" and the new view_size_px, group_shares, start_shares,
            continue_share, max_rounds or batch_size. See `at`.
    """

    id: str
    title: str
    training: tuple[ClickNetSource, ...]
    held_out: tuple[ClickNetSource, ...] = ()
    evaluation_only: tuple[ClickNetSource, ...] = ()
    widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    deepest_blocks: int = 2
    group_shares: dict[str, float] = field(default_factory=lambda: {"real": 0.5, "regions": 0.25, "synthetic": 0.25})
    view_size_px: int = 128
    disk_radius_px: float = 2.0
    start_shares: dict[str, float] = field(
        default_factory=lambda: {
            "box": 0.3, "click": 0.3, "box_and_click": 0.08, "clicks": 0.08, "mask_and_clicks": 0.14, "mask": 0.1
        }
    )  # fmt: skip
    continue_share: float = 0.55
    max_rounds: int = 8
    batch_size: int = 16
    max_steps: int = 10000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    ema_decay: float = 0.998
    bfloat16: bool = False
    validate_every: int = 500
    kept_of_start: float = 0.0
    region_slices: int = 200
    seed: int = 0
    stages: tuple[dict, ...] = ()
    extra: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_share(self.kept_of_start)
        for stage in self.stages:
            whole_number(json_object(stage, "a stage of the training recipe").get("from_step", 0), "from_step of a stage", 0)
        unknown = sorted({name for stage in self.stages for name in stage} - {"from_step", *_STAGED})
        if unknown or not all("from_step" in stage for stage in self.stages):
            reason = f"names {listed(unknown)}" if unknown else "has no from_step"
            raise ValueError(f"a stage of the training recipe {reason}; it needs from_step and may set {listed(_STAGED)}.")

    @classmethod
    def from_json(cls, path: str | Path) -> "ClickNetRecipe":
        """Read a recipe; fields this version does not know are kept in `extra`.

        Raises:
            ValueError: where a required field is missing or a source is of an unknown kind.
        """
        values = recipe_values(path, cls)
        for part in ("training", "held_out", "evaluation_only"):
            values[part] = tuple(source_from(json_object(raw, f"a source of {path}")) for raw in values.get(part, ()))
        return cls(**values)

    def at(self, step: int) -> "ClickNetRecipe":
        """The recipe in force at a step: the last stage that has begun replaces the fields it names.

        Small views first and larger ones at the end cost less than large ones throughout.
        """
        begun = [stage for stage in self.stages if stage["from_step"] <= step]
        if not begun:
            return self
        changed = {name: value for name, value in begun[-1].items() if name != "from_step"}
        return replace(self, **changed)

    def to_dict(self) -> dict:
        """The recipe as JSON-ready values."""
        values = asdict(self)
        return {**values.pop("extra"), **values}


def source_from(raw: dict) -> ClickNetSource:
    """A data set as a recipe names it; ValueError for fields that it does not have."""
    values = {_OLD_FIELDS.get(name, name): frozen(value) for name, value in raw.items()}
    known = {f.name for f in fields(ClickNetSource)}
    if not {"name", "kind", "folder"} <= set(values) <= known:
        raise ValueError(
            f"a source of the training recipe has {listed(values)}; it needs name, kind and folder, and may have {listed(sorted(known))}."
        )
    kind = text(values["kind"], "kind of a source of the training recipe")
    return ClickNetSource(**{**values, "kind": _OLD_KINDS.get(kind, kind)})
