"""Labeled cases in nnU-Net's raw layout (dataset.json, imagesTr, labelsTr, splits_final.json) as arrays for training."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.cases.folders import channel_name
from mednextseg.geometry import axis_map
from mednextseg.json_values import listed
from mednextseg.segment.prepare.intensity import normalize
from mednextseg.volume_io import read_volume


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
        ValueError: where label_presence names a structure that the data set does not have.
    """
    folder = Path(folder)
    for name in ("dataset.json", "splits_final.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}; a training data set needs nnU-Net's raw layout.")
    table = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    split = json.loads((folder / "splits_final.json").read_text(encoding="utf-8"))[0]
    channels = tuple(table["channel_names"].values())
    ending = table["file_ending"]
    labels = {name: int(value) for name, value in table["labels"].items()}
    presence = table.get("label_presence", {})

    def case(name: str) -> LabeledCase:
        images = tuple(folder / "imagesTr" / f"{channel_name(name, channel)}{ending}" for channel in range(len(channels)))
        found = LabeledCase(name, images, folder / "labelsTr" / f"{name}{ending}", absent(name))
        for path in (*found.images, found.label):
            if not path.is_file():
                raise FileNotFoundError(f"case {name} of {folder} lacks {path.name}; add the file or remove the case.")
        return found

    def absent(name: str) -> frozenset[int]:
        drawn = presence.get(name, labels)
        if unknown := sorted(set(drawn) - labels.keys()):
            raise ValueError(f"label_presence of {name} names {listed(unknown)}; the labels are {listed(labels)}.")
        return frozenset(value for label, value in labels.items() if value > 0 and label not in drawn)

    return LabeledDataset(
        name=table.get("name", folder.name),
        channels=channels,
        labels=labels,
        training=tuple(case(name) for name in split["train"]),
        validation=tuple(case(name) for name in split["val"]),
    )


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
