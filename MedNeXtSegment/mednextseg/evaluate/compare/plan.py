"""The plan of a table: which models meet which data sets (a JSON file; its paths are relative to it)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mednextseg.cases.splits import read_split
from mednextseg.evaluate.measure_options import MeasureOptions
from mednextseg.json_values import json_list, json_object, read_json_object, text
from mednextseg.segment.recipe import SegmentRecipe

_DATASET_PLACEHOLDER = "{dataset}"


@dataclass(frozen=True)
class ModelEntry:
    """A row of the table: a model to run, or predictions that another program made.

    Attributes:
        model: id or folder; None where `predictions` is given.
        predictions: folder of finished segmentations; "{dataset}" in it stands for the data set's name.
        pairs: the model's name for a structure -> the data set's.
    """

    name: str
    model: str | None
    predictions: str | None
    recipe: SegmentRecipe
    pairs: Mapping[str, str]


@dataclass(frozen=True)
class DatasetEntry:
    """A column of the table: folders of images and references with the same case names; None for all cases."""

    name: str
    images: Path
    references: Path
    options: MeasureOptions
    cases: tuple[str, ...] | None


@dataclass(frozen=True)
class TablePlan:
    """What `run_plan` works through."""

    models: tuple[ModelEntry, ...]
    datasets: tuple[DatasetEntry, ...]
    device: str


def read_plan(path: Path, recipe: Path | None, device: str) -> TablePlan:
    """Read a plan.

    The JSON has "models": [{"name", "model" or "predictions", "recipe", "pairs"}], "datasets": [{"name", "images", "references",
    "labels", "unions", "cases"}], where "labels" is a table (name -> number(s), or a public data set's name), "unions" lists structures
    such as "hippocampus" to measure as a whole where models and references know the parts, and "cases" is a list or a
    splits_final.json; and "tolerances_mm" for all.

    Args:
        recipe: for the models that bring none.
        device: to run on.
    Raises:
        ValueError: for a plan without models or data sets, a name used twice, or a missing field.
    """
    try:
        raw = read_json_object(path)
        default = SegmentRecipe.from_json(recipe) if recipe else SegmentRecipe()
        models = tuple(_model(entry, default, path.parent) for entry in _entries(raw, "models", path))
        tolerances_mm = json_object(raw.get("tolerances_mm", {}), "tolerances_mm")
        datasets = tuple(_dataset(entry, tolerances_mm, path.parent) for entry in _entries(raw, "datasets", path))
    except KeyError as error:
        raise ValueError(f"{path} is no plan of models and datasets: {error} is missing.") from error
    for kind, entries in (("model", models), ("data set", datasets)):
        names = [entry.name for entry in entries]
        if not names or len(set(names)) != len(names) or any("/" in name for name in names):
            raise ValueError(f"{path} needs at least one {kind}, each name used once and without a slash, got {names}.")
    return TablePlan(models, datasets, device)


def for_model(dataset: DatasetEntry, model: ModelEntry) -> MeasureOptions:
    """The data set's options with the model's spellings; a model's files bring their own names or follow the data set's table."""
    return replace(dataset.options, pairs={**dataset.options.pairs, **model.pairs})


def prediction_folder(model: ModelEntry, dataset: DatasetEntry, output: Path) -> Path:
    """Where the segmentations of one cell lie."""
    if model.predictions is not None:
        return Path(model.predictions.replace(_DATASET_PLACEHOLDER, dataset.name))
    return output / "predictions" / dataset.name / model.name


def _entries(raw: Mapping, name: str, path: Path) -> list[dict]:
    return [json_object(entry, f"an entry of {name} in {path}") for entry in json_list(raw[name], f"{name} in {path}")]


def _model(raw: Mapping, default: SegmentRecipe, base: Path) -> ModelEntry:
    model, predictions = raw.get("model"), raw.get("predictions")
    if (model is None) == (predictions is None):
        raise ValueError(f'the plan\'s model {raw.get("name")!r} needs either "model" or "predictions".')
    if model is not None and (base / text(model, "a model of the plan")).is_dir():
        model = str(base / model)
    recipe = SegmentRecipe.from_dict(raw["recipe"]) if "recipe" in raw else default
    folder = None if predictions is None else str(base / text(predictions, "predictions of the plan"))
    return ModelEntry(
        text(raw["name"], "the name of a model"), model, folder, recipe, json_object(raw.get("pairs", {}), "pairs")
    )


def _dataset(raw: Mapping, tolerances_mm: Mapping[str, float], base: Path) -> DatasetEntry:
    options = MeasureOptions.from_dict({
        "reference": raw.get("labels"),
        "prediction": raw.get("labels"),
        "pairs": raw.get("pairs", {}),
        "unions": raw.get("unions", ()),
        "tolerances_mm": {**tolerances_mm, **json_object(raw.get("tolerances_mm", {}), "tolerances_mm")},
    })  # fmt: skip
    images, references = (base / text(raw[name], f"{name} of a data set") for name in ("images", "references"))
    return DatasetEntry(
        text(raw["name"], "the name of a data set"), images, references, options, _cases(raw.get("cases"), base)
    )


def _cases(raw: Sequence[str] | str | None, base: Path) -> tuple[str, ...] | None:
    if isinstance(raw, str):
        return read_split(base / raw).validation
    return None if raw is None else tuple(text(name, "a case of the plan") for name in json_list(raw, "cases of the plan"))
