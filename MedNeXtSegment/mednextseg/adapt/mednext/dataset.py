"""Labeled cases in nnU-Net's raw layout (dataset.json, imagesTr, labelsTr, splits_final.json) as arrays for training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.cases.folders import channel_name
from mednextseg.cases.splits import read_split
from mednextseg.geometry import axis_map
from mednextseg.json_values import json_list, json_object, listed, read_json_object, shown, text
from mednextseg.models.importers.nnunet_dataset import channel_names, label_values
from mednextseg.segment.prepare.intensity import normalize
from mednextseg.volume_io import read_volume

_ENDING = ".nii.gz"  # of data sets older than the field


@dataclass(frozen=True)
class LabeledCase:
    """Files of one case: an image a channel, one labelmap.

    Attributes:
        absent: values of the structures that were not drawn in this case; they may be there all the same.
    """

    name: str
    images: tuple[Path, ...]
    label: Path
    absent: frozenset[int] = frozenset()


@dataclass(frozen=True)
class LabeledDataset:
    """A data set folder.

    Attributes:
        labels: name -> value, background included.
        training, validation: the cases of the first split in splits_final.json.
    """

    name: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    training: tuple[LabeledCase, ...]
    validation: tuple[LabeledCase, ...]

    @property
    def absent_sets(self) -> tuple[frozenset[int], ...]:
        """What the training cases lack, each combination once."""
        return tuple(dict.fromkeys(case.absent for case in self.training if case.absent))

    def background_code(self, case: LabeledCase) -> int:
        """What unlabeled voxels of a training case are: 0, or a code for "background or one of the absent" (partial_labels.py)."""
        return len(self.labels) + self.absent_sets.index(case.absent) if case.absent else 0


def open_dataset(folder: str | Path) -> LabeledDataset:
    """Read a data set's tables; no image is read.

    Beyond nnU-Net's layout, dataset.json may hold "label_presence": {case: [names of the structures that were drawn in it]}. A case
    that is not listed has them all. A structure left out for a case takes no part in its loss, even where the labelmap has it.

    Raises:
        FileNotFoundError: where dataset.json, splits_final.json or a case's file is missing, naming it.
        ValueError: in one sentence, for tables of another form, labels that are not numbered 1, 2, ... and a label_presence that names
            a structure that the data set does not have.
    """
    folder = Path(folder)
    for name in ("dataset.json", "splits_final.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}; a training data set needs nnU-Net's raw layout.")
    table, split = read_json_object(folder / "dataset.json"), read_split(folder / "splits_final.json")
    channels = tuple(channel_names(table, _channel_count(table)))
    ending = text(table.get("file_ending", _ENDING), "file_ending of dataset.json")
    labels = _labels(table)
    presence = json_object(table.get("label_presence", {}), "label_presence of dataset.json")

    def case(name: str) -> LabeledCase:
        images = tuple(folder / "imagesTr" / f"{channel_name(name, channel)}{ending}" for channel in range(len(channels)))
        found = LabeledCase(name, images, folder / "labelsTr" / f"{name}{ending}", absent(name))
        for path in (*found.images, found.label):
            if not path.is_file():
                raise FileNotFoundError(f"case {name} of {folder} lacks {path.name}; add the file or remove the case.")
        return found

    def absent(name: str) -> frozenset[int]:
        drawn = list(labels) if name not in presence else _texts(presence[name], f"label_presence of {name}")
        if unknown := sorted(set(drawn) - labels.keys()):
            raise ValueError(f"label_presence of {name} names {listed(unknown)}; the labels are {listed(labels)}.")
        return frozenset(value for label, value in labels.items() if value > 0 and label not in drawn)

    return LabeledDataset(
        name=text(table.get("name", folder.name), "name of dataset.json"),
        channels=channels,
        labels=labels,
        training=tuple(case(name) for name in split.training),
        validation=tuple(case(name) for name in split.validation),
    )


def _channel_count(table: dict[str, Any]) -> int:
    named = table.get("channel_names") or table.get("modality")
    if not isinstance(named, dict | list) or not named:
        raise ValueError(f"channel_names of dataset.json must name the channels, got {shown(named)}.")
    return len(named)


def _labels(table: dict[str, Any]) -> dict[str, int]:
    pairs, is_regions = label_values(table)
    if is_regions:
        raise ValueError("dataset.json has regions that overlap; the training needs a label of its own for each structure.")
    values = [value for value, _ in pairs]
    if values != list(range(1, len(values) + 1)):
        raise ValueError(f"the labels of dataset.json must be numbered 1, 2, ... without a gap, got {shown(values)}.")
    return {"background": 0, **{name: value for value, name in pairs}}


def _texts(value: object, what: str) -> list[str]:
    return [text(entry, f"an entry of {what}") for entry in json_list(value, what)]


def load_case(case: LabeledCase, recipe: MedNeXtRecipe) -> dict[str, np.ndarray]:
    """Read, turn and normalize one case for training.

    Returns:
        "image": float32 (channels, K, J, I) and "label": uint8 (1, K, J, I), both in the recipe's orientation; absent structures are
        unlabeled.
    Raises:
        ValueError: where a channel or the labelmap lies on another grid, or the spacing is not the recipe's.
    """
    labelmap_kji, geometry = read_volume(case.label)
    turn = axis_map(geometry.orientation, recipe.orientation)
    channels = []
    for path, normalization in zip(case.images, recipe.normalization, strict=True):
        volume_kji, image_geometry = read_volume(path)
        if not image_geometry.matches(geometry):
            raise ValueError(f"{path.name} and {case.label.name} lie on different grids; resample one onto the other.")
        channels.append(normalize(turn.apply(volume_kji), normalization))
    spacing = turn.apply_geometry(geometry).spacing_kji_mm
    if not np.allclose(spacing, recipe.spacing_kji_mm, rtol=0.01):
        raise ValueError(
            f"{case.name} has spacing {spacing} mm, the recipe wants {recipe.spacing_kji_mm}; resample the data set."
        )
    label = np.ascontiguousarray(turn.apply(labelmap_kji)[None]).astype(np.uint8)
    label[np.isin(label, list(case.absent))] = 0
    return {"image": np.stack(channels), "label": label}
