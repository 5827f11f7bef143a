"""The model card: what a network was trained for and how it must be fed, as card.json beside the weights.

Light on purpose (standard library only): Slicer's process reads cards too.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mednextseg.files import write_text
from mednextseg.json_values import json_list, json_object, listed, number, read_json, text, whole_number
from mednextseg.labels.label import Label
from mednextseg.models.base_model import BaseModel
from mednextseg.models.card_check import LARGEST_LABEL, check_card
from mednextseg.models.clean_up import ComponentRule, Postprocessing
from mednextseg.models.normalization import Normalization
from mednextseg.models.preparation import Step, steps_from
from mednextseg.models.region_source import RegionSource

CARD_FILE, WEIGHTS_FILE, LICENSE_FILE = "card.json", "weights.safetensors", "LICENSE"


@dataclass(frozen=True)
class Channel:
    """One input image.

    Attributes:
        name: such as "T1", "FLAIR", "CT"; modality: "MR", "CT", ...; normalization: how intensities are scaled.
        air_below: stored intensity below which a voxel is air and never has a label; None where there is no such intensity.
    """

    name: str
    modality: str
    normalization: Normalization
    air_below: float | None = None


@dataclass(frozen=True)
class ModelCard:
    """A validated card.

    Attributes:
        body_part: for people who look for a model, such as "abdomen"; empty where the labels tell it.
        id, version, title, description: `id` is lower case, digits, dots, dashes.
        task: "segment" (volumes to labels) or "refine" (prompts on slices).
        family, architecture: which network and the arguments it is built with.
        channels: in the order the network expects them.
        labels: without the background.
        weights_sha256: of each weights file (several make an ensemble), or of each part's card, which has those of its weights.
        parts: folders in the package, each a whole package with a network of its own, in the order they run.
        combination: of parts: "merge" (each has labels of its own, by name; later ones are painted over earlier ones) or "cascade" (each
            sees the labels of the one before, the last one's count).
        previous_labels: of a stage of a cascade: the labels of the stage before that it gets as channels behind those of the image.
        previous_labels_linear: they are interpolated along all axes alike, zeros beside the patient being background (nnU-Net v1).
        spacing_kji_mm, patch_size_kji: of the network's grid; the spacing is None where steps of `preparation` keep the volume's own.
        slice_by_slice: the network looks at one slice across K at a time (2D): the volume keeps its own spacing along K, and the patch is
            one voxel deep; the spacing along K is that of the training data, for people.
        orientation: anatomical letters of the network's I, J, K axes, or None where it works on the axes as stored.
        reorient_only: tilted volumes are turned to `orientation` by swaps and flips alone, as nnU-Net's reorienting readers do.
        axes_by_sform: the letters of a NIfTI file's axes are those of its sform, as for programs that read with nibabel.
        axis_order_kji: for models without an orientation, the stored axis that becomes K, J, I (nnU-Net's transpose_forward).
        crop_to_nonzero: whether margins of zeros are cut off first (nnU-Net).
        normalize_first: normalize before resampling (nnU-Net v2) rather than after it (v1).
        normalization_region: "volume", or "roi" for models trained on small crops.
        anisotropy_threshold: spacing ratio from which resampling treats the coarse axis apart (nnU-Net: 3); None for never.
        clip_resampled: whether interpolated intensities are kept within the range of the image's own (nnU-Net).
        preparation: for models that are fed step by step as their own program does it; then nothing else crops, normalizes or resamples.
        padding: "edge" or "zero", for windows that reach beyond the image.
        average: what overlapping windows, mirrors and folds average: "logits" or "probabilities".
        activation: "softmax" (one label a voxel) or "sigmoid" (overlapping regions, painted in the order of `labels`).
        labels_overlap: of a "sigmoid" model: its labels keep what they share, each in a layer of its own, instead of being painted.
        overlap: of neighboring windows, 0 <= overlap < 1.
        window_layout: "even" (nnU-Net) or "dense", equal steps from the first voxel on (MONAI).
        window_weights: in the average: "gaussian", "gaussian_centered" (MONAI) or "constant".
        interpolated: what is brought back to the volume's grid: "values" as averaged, "activations" (of them), or "labels", the nearest.
        mirror_axes_kji: axes along which mirrored inputs may be averaged (TTA); tta: whether they are where no recipe asks for it.
        exchanged_sides: pairs of labels that change places where an input is mirrored along I, which then runs from side to side.
        component_rules: clean-up of several labels together, in this order, before that of single ones.
        postprocessing: clean-up by label name.
        totals: name -> labels whose volumes are added up in tables, such as the whole brain.
        needs_region: whether the model was only trained on boxes around its structure, so that a larger volume needs a region of interest.
        roi_hint: one sentence on the region that suits the model, else empty.
        region_from: another model, around whose structures this one looks; None for a model that looks wherever it is told to.
        base: which model an adapted one was made from; reference_cases: folder in the package with cases that tell what it forgot, or "".
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
    parts: tuple[str, ...] = ()
    combination: str = "merge"
    previous_labels: tuple[int, ...] = ()
    previous_labels_linear: bool = False
    description: str = ""
    body_part: str = ""
    spacing_kji_mm: tuple[float, float, float] | None = None
    patch_size_kji: tuple[int, int, int] | None = None
    slice_by_slice: bool = False
    orientation: str | None = None
    reorient_only: bool = False
    axes_by_sform: bool = False
    axis_order_kji: tuple[int, int, int] = (0, 1, 2)
    crop_to_nonzero: bool = False
    normalize_first: bool = True
    normalization_region: str = "volume"
    anisotropy_threshold: float | None = None
    clip_resampled: bool = False
    preparation: tuple[Step, ...] = ()
    padding: str = "edge"
    average: str = "logits"
    activation: str = "softmax"
    labels_overlap: bool = False
    overlap: float = 0.5
    window_layout: str = "even"
    window_weights: str = "gaussian"
    interpolated: str = "values"
    mirror_axes_kji: tuple[int, ...] = ()
    tta: bool = False
    exchanged_sides: tuple[tuple[str, str], ...] = ()
    component_rules: tuple[ComponentRule, ...] = ()
    postprocessing: dict[str, Postprocessing] = field(default_factory=dict)
    totals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    needs_region: bool = False
    roi_hint: str = ""
    region_from: RegionSource | None = None
    base: BaseModel | None = None
    reference_cases: str = ""
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
        allowed = listed(label.name for label in self.labels)
        raise ValueError(f"the model {self.id} has no label {name!r}; it has: {allowed}.")

    @property
    def weights_files(self) -> tuple[str, ...]:
        """Names of the files that `weights_sha256` belongs to: the weights, one a fold, or the parts' cards."""
        if self.parts:
            return tuple(f"{part}/{CARD_FILE}" for part in self.parts)
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
        raw = read_json(path)
    except ValueError as error:
        raise ValueError(f"{str(error).removesuffix('.')}; install the model again.") from error
    return card_from_dict(raw, source=str(path))


def write_card(card: ModelCard, folder: str | Path) -> None:
    """Write card.json into a model folder."""
    write_text(Path(folder) / CARD_FILE, json.dumps(card.to_dict(), indent=2, ensure_ascii=False) + "\n")


def card_from_dict(raw: dict, source: str = "the model card") -> ModelCard:
    """Validate JSON values as a card; a field this version does not know is kept in `extra`.

    Raises:
        ValueError: naming `source` and the field that is missing or wrong.
    """
    raw = json_object(raw, source)
    missing = [f.name for f in fields(ModelCard) if f.name in _REQUIRED and f.name not in raw]
    if missing:
        raise ValueError(f"{source} lacks the field{'s' if len(missing) > 1 else ''} {listed(missing)}.")
    known = {f.name for f in fields(ModelCard)} - {"extra"}
    values: dict[str, Any] = {name: _frozen(value) for name, value in raw.items() if name in known}
    try:
        values["channels"] = tuple(_channel(channel) for channel in json_list(raw["channels"], "channels"))
        values["labels"] = tuple(label_from_dict(label) for label in json_list(raw["labels"], "labels"))
        rules = json_list(raw.get("component_rules", ()), "component_rules")
        values["component_rules"] = tuple(ComponentRule.from_dict(rule) for rule in rules)
        values["preparation"] = steps_from(raw.get("preparation", ()))
        cleaned = json_object(raw.get("postprocessing", {}), "postprocessing")
        values["postprocessing"] = {
            name: Postprocessing(**json_object(p, f"clean-up of {name}")) for name, p in cleaned.items()
        }
        pairs = json_list(raw.get("exchanged_sides", ()), "exchanged_sides")
        values["exchanged_sides"] = tuple(tuple(json_list(pair, "a pair of exchanged_sides")) for pair in pairs)
        totals = json_object(raw.get("totals", {}), "totals")
        values["totals"] = {name: tuple(json_list(parts, f"the total {name}")) for name, parts in totals.items()}
        if raw.get("region_from") is not None:
            values["region_from"] = RegionSource.from_dict(raw["region_from"])
        if raw.get("base") is not None:
            values["base"] = BaseModel.from_dict(raw["base"])
        for name in ("metrics", "training_data"):
            values[name] = tuple(json_object(entry, f"an entry of {name}") for entry in json_list(raw.get(name, ()), name))
        card = ModelCard(**values, extra={name: value for name, value in raw.items() if name not in known})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{source} has a field of the wrong form: {str(error).removesuffix('.')}.") from error
    check_card(card, source)
    return card


_REQUIRED = frozenset(
    ("id", "version", "title", "task", "family", "architecture", "channels", "labels", "weights_sha256", "weights_license")
)


def _channel(raw: object) -> Channel:
    raw = json_object(raw, "a channel")
    name, modality = text(raw["name"], "a channel's name"), text(raw["modality"], "a channel's modality")
    normalization = Normalization(**json_object(raw["normalization"], f"the normalization of {name}"))
    air_below = None if raw.get("air_below") is None else number(raw["air_below"], f"air_below of {name}")
    return Channel(name, modality, normalization, air_below)


def label_from_dict(raw: object) -> Label:
    """A label from JSON values, as cards and reports hold it; ValueError or KeyError for other fields or values."""
    raw = json_object(raw, "a label")
    name = text(raw["name"], "a label's name")
    color = tuple(
        whole_number(part, f"the color of {name}", 0, 255) for part in json_list(raw["color"], f"the color of {name}")
    )
    if len(color) != 3:
        raise ValueError(f"the color of {name} must be red, green and blue, got {list(color)}")
    codes = json_object(raw.get("terminology", {}), f"the terminology of {name}")
    terminology: dict[str, Any] = {
        role: tuple(text(part, f"{role} of {name}") for part in json_list(code, role)) for role, code in codes.items()
    }
    return Label(whole_number(raw["value"], f"the value of {name}", 1, LARGEST_LABEL), name, color, terminology)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
