"""The shape priors that a model has learned, as volumes to look at: one for each class, in the axes of the model's window."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mednextseg.files import make_folder
from mednextseg.geometry import Geometry
from mednextseg.models.adaptable import SHAPE_PRIORS, has_shape_priors
from mednextseg.models.model_card import read_card
from mednextseg.models.package_tensors import package_tensors
from mednextseg.models.weights import network_from_state_dict
from mednextseg.volume_io import image_of, write_image


@dataclass(frozen=True)
class PriorMaps:
    """What a model knows of where its classes lie in a window.

    Attributes:
        names: of the classes, the background first.
        maps: float32 (classes, K, J, I), as fine as the priors are, a sixteenth of the window.
        geometry: of one map: as large as the window in mm, centered on the origin.
    """

    names: tuple[str, ...]
    maps: np.ndarray
    geometry: Geometry


def prior_maps(package: Path) -> PriorMaps:
    """The priors of a model.

    Columns of the package's axes are taken for right, anterior, superior where its card names none.

    Args:
        package: folder of a model.
    Raises:
        ValueError: for a model without shape priors.
    """
    card = read_card(package)
    if not has_shape_priors(card):
        raise ValueError(f"the model {card.id} has no shape priors; adapt it with the method shape-priors.")
    network = network_from_state_dict(package_tensors(package, card, card.weights_files[0]), card.architecture)
    maps = network.plug_ins[SHAPE_PRIORS].maps().numpy()
    spacing = card.spacing_kji_mm or (1.0, 1.0, 1.0)
    voxel_ijk_mm = [n * mm / grid for n, mm, grid in zip(card.patch_size_kji, spacing, maps.shape[1:], strict=True)][::-1]
    ijk_to_ras = np.eye(4)
    for column, (letter, mm) in enumerate(zip(card.orientation or "RAS", voxel_ijk_mm, strict=True)):
        row = next(n for n, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        ijk_to_ras[:3, column] = 0
        ijk_to_ras[row, column] = mm if letter in "RAS" else -mm
    ijk_to_ras[:3, 3] = -ijk_to_ras[:3, :3] @ ((np.array(maps.shape[:0:-1]) - 1) / 2)
    names = "background", *(label.name for label in card.labels)
    return PriorMaps(names, maps.astype(np.float32), Geometry(maps.shape[1:], ijk_to_ras))


def write_priors(package: Path, folder: Path) -> list[Path]:
    """Write prior_0_background.nii.gz, prior_1_NAME.nii.gz, ...: the maps of `prior_maps`.

    Args:
        package: folder of a model.
        folder: created where it does not exist.
    Raises:
        ValueError: for a model without shape priors.
        OSError: where the disk is full.
    """
    priors, files = prior_maps(package), []
    target = make_folder(folder)
    for number, (name, values_kji) in enumerate(zip(priors.names, priors.maps, strict=True)):
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        files.append(target / f"prior_{number}_{safe}.nii.gz")
        write_image(image_of(np.ascontiguousarray(values_kji), priors.geometry), files[-1])
    return files
