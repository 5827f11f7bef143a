"""The model card: what a network was trained for and how it must be fed, as card.json beside the weights.

Light on purpose (standard library only): Slicer's process reads cards too.
"""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from mednextseg.files import write_text
from mednextseg.labels.label import Label
from mednextseg.models.normalization import Normalization

CARD_FILE, WEIGHTS_FILE, LICENSE_FILE = "card.json", "weights.safetensors", "LICENSE"
TASKS = ("segment", "refine")
_ID_PATTERN = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


@dataclass(frozen=True)
class Channel:
    """One input image: its name ("T1", "FLAIR", "CT"), modality ("MR", "CT", ...) and intensity scaling."""

    name: str
    modality: str
    normalization: Normalization


@dataclass(frozen=True)
class Postprocessing:
    """Clean-up of one label: keep its largest component, drop components below a volume, fill its holes."""

    keep_largest: bool = False
    min_volume_mm3: float = 0.0
    fill_holes: bool = False


@dataclass(frozen=True)
class ComponentRule:
    """Of some labels taken together, the largest connected part is kept (all parts of that size) and the rest becomes background.

    Attributes:
        labels: names.
        connectivity: "faces" (6 neighbors) or "corners" (26).
        keep_from_mm3: smaller parts of at least this volume are kept too; None keeps none.
    """

    labels: tuple[str, ...]
    connectivity: str = "faces"
    keep_from_mm3: float | None = None

    def __post_init__(self) -> None:
        if self.connectivity not in ("faces", "corners"):
            raise ValueError(f'a component rule\'s connectivity must be "faces" or "corners", got {self.connectivity!r}.')

    @classmethod
    def from_dict(cls, raw: dict) -> "ComponentRule":
        """From JSON values."""
        return cls(**{**raw, "labels": tuple(raw["labels"])})


@dataclass(frozen=True)
class ModelCard:
    """A validated card.

    Attributes:
        id, version, title, description: `id` is lower case, digits, dots, dashes.
        task: "segment" (volumes to labels) or "refine" (prompts on slices).
        family, architecture: which network and the arguments it is built with.
        channels: in the order the network expects them.
        labels: without the background.
        weights_sha256: of each weights file; more than one makes an ensemble.
        spacing_kji_mm, patch_size_kji: of the network's grid.
        orientation: anatomical letters of the network's I, J, K axes, or None where it works on the axes as stored.
        axis_order_kji: for models without an orientation, the stored axis that becomes K, J, I (nnU-Net's transpose_forward).
        crop_to_nonzero: whether margins of zeros are cut off first (nnU-Net).
        normalize_first: normalize before resampling (nnU-Net v2) rather than after it (v1).
        normalization_region: "volume", or "roi" for models trained on small crops.
        anisotropy_threshold: spacing ratio from which resampling treats the coarse axis apart (nnU-Net: 3); None for never.
        clip_resampled: whether interpolated intensities are kept within the range of the image's own (nnU-Net).
        padding: "edge" or "zero", for windows that reach beyond the image.
        average: what overlapping windows, mirrors and folds average: "logits" or "probabilities".
        activation: "softmax" (one label a voxel) or "sigmoid" (overlapping regions, painted in the order of `labels`).
        overlap: of neighboring windows, 0 <= overlap < 1.
        mirror_axes_kji: axes along which mirrored inputs may be averaged (TTA).
        component_rules: clean-up of several labels together, in this order, before that of single ones.
        postprocessing: clean-up by label name.
        needs_region: whether the model was only trained on boxes around its structure, so that a larger volume needs a region of interest.
        roi_hint: one sentence on the region that suits the model, else empty.
        metrics, training_data, citation, weights_license, minimum_engine_version: for people, and for the report.
        extra: fields of newer cards, kept as they came.
    """

    id: str
    version: str
    title: str
    task: str
    family: str
    architecture: dict
    channels: tuple[Channel, ...]
    labels: tuple[Label, ...]
    weights_sha256: tuple[str, ...]
    weights_license: str
    description: str = ""
    spacing_kji_mm: tuple[float, float, float] | None = None
    patch_size_kji: tuple[int, int, int] | None = None
    orientation: str | None = None
    axis_order_kji: tuple[int, int, int] = (0, 1, 2)
    crop_to_nonzero: bool = False
    normalize_first: bool = True
    normalization_region: str = "volume"
    anisotropy_threshold: float | None = None
    clip_resampled: bool = False
    padding: str = "edge"
    average: str = "logits"
    activation: str = "softmax"
    overlap: float = 0.5
    mirror_axes_kji: tuple[int, ...] = ()
    component_rules: tuple[ComponentRule, ...] = ()
    postprocessing: dict[str, Postprocessing] = field(default_factory=dict)
    needs_region: bool = False
    roi_hint: str = ""
    metrics: tuple[dict, ...] = ()
    training_data: tuple[dict, ...] = ()
    citation: str = ""
    minimum_engine_version: str = "0.1.0"
    extra: dict = field(default_factory=dict)

    def label_named(self, name: str) -> Label:
        """The label with this name.

        Raises:
            ValueError: listing the names the model has.
        """
        for label in self.labels:
            if label.name == name:
                return label
        allowed = ", ".join(label.name for label in self.labels)
        raise ValueError(f"the model {self.id} has no label {name!r}; it has: {allowed}.")

    @property
    def weights_files(self) -> tuple[str, ...]:
        """Names of the weights files in the package, one a fold."""
        if len(self.weights_sha256) == 1:
            return (WEIGHTS_FILE,)
        return tuple(f"weights_fold_{fold}.safetensors" for fold in range(len(self.weights_sha256)))

    def to_dict(self) -> dict:
        """The card as JSON-ready values, unknown fields included."""
        values = asdict(self)
        return {**values.pop("extra"), **values}


def read_card(folder: str | Path) -> ModelCard:
    """Read and validate the card of a model folder.

    Raises:
        ValueError: naming the file and the field that is missing or wrong.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise ValueError(f"{folder} is not a model package: it has no {CARD_FILE}.")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); install the model again.") from error
    return card_from_dict(raw, source=str(path))


def write_card(card: ModelCard, folder: str | Path) -> None:
    """Write card.json into a model folder."""
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False)
    write_text(Path(folder) / CARD_FILE, text + "\n")


def card_from_dict(raw: dict, source: str = "the model card") -> ModelCard:
    """Validate JSON values as a card; a field this version does not know is kept in `extra`.

    Raises:
        ValueError: naming `source` and the field that is missing or wrong.
    """
    if not isinstance(raw, dict):
        raise ValueError(f"{source} must hold one JSON object, got {type(raw).__name__}.")
    required = [f.name for f in fields(ModelCard) if f.name in _REQUIRED]
    missing = [name for name in required if name not in raw]
    if missing:
        raise ValueError(f"{source} lacks the field{'s' if len(missing) > 1 else ''} {', '.join(missing)}.")
    known = {f.name for f in fields(ModelCard)} - {"extra"}
    values = {name: _frozen(value) for name, value in raw.items() if name in known}
    try:
        values["channels"] = tuple(_channel(channel) for channel in raw["channels"])
        values["labels"] = tuple(_label(label) for label in raw["labels"])
        values["component_rules"] = tuple(ComponentRule.from_dict(rule) for rule in raw.get("component_rules", ()))
        values["postprocessing"] = {name: Postprocessing(**p) for name, p in raw.get("postprocessing", {}).items()}
        for name in ("metrics", "training_data"):
            values[name] = tuple(raw.get(name, ()))
        card = ModelCard(**values, extra={name: value for name, value in raw.items() if name not in known})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{source} has a field of the wrong form: {error}.") from error
    _validate(card, source)
    return card


_REQUIRED = frozenset(
    ("id", "version", "title", "task", "family", "architecture", "channels", "labels", "weights_sha256", "weights_license")
)
_REQUIRED_TO_SEGMENT = ("spacing_kji_mm", "patch_size_kji")
_CHOICES = {
    "task": TASKS,
    "normalization_region": ("volume", "roi"),
    "padding": ("edge", "zero"),
    "average": ("logits", "probabilities"),
    "activation": ("softmax", "sigmoid"),
}


def _validate(card: ModelCard, source: str) -> None:
    if not _ID_PATTERN.match(card.id):
        raise ValueError(f"{source}: the id must be lower-case letters, digits, dots and dashes, got {card.id!r}.")
    for name, allowed in _CHOICES.items():
        if getattr(card, name) not in allowed:
            raise ValueError(f"{source}: {name} must be one of {', '.join(allowed)}, got {getattr(card, name)!r}.")
    if not 0 <= card.overlap < 1:
        raise ValueError(f"{source}: the overlap must be at least 0 and below 1, got {card.overlap}.")
    if card.task == "segment":
        missing = [name for name in _REQUIRED_TO_SEGMENT if getattr(card, name) is None]
        if missing:
            raise ValueError(f"{source} lacks {', '.join(missing)}, which a model that segments needs.")
        values = [label.value for label in card.labels]
        if len(set(values)) != len(values) or 0 in values or not values:
            raise ValueError(f"{source}: label values must be positive and each used once, got {values}.")
        if len({label.name for label in card.labels}) != len(values):
            raise ValueError(f"{source}: two labels have the same name.")
        cleaned = {name for rule in card.component_rules for name in rule.labels} | set(card.postprocessing)
        if unknown := cleaned - {label.name for label in card.labels}:
            raise ValueError(f"{source} cleans up {', '.join(sorted(unknown))}, which is none of its labels.")
    if not card.weights_sha256 or any(not re.fullmatch(r"[0-9a-f]{64}", digest) for digest in card.weights_sha256):
        raise ValueError(f"{source}: weights_sha256 must list one SHA-256 for each weights file.")


def _channel(raw: dict) -> Channel:
    return Channel(raw["name"], raw["modality"], Normalization(**raw["normalization"]))


def _label(raw: dict) -> Label:
    terminology = {role: tuple(code) for role, code in raw.get("terminology", {}).items()}
    return Label(int(raw["value"]), raw["name"], tuple(raw["color"]), terminology)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
