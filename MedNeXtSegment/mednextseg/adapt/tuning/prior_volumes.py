"""The shape priors that a model has learned, as volumes to look at: one for each class, in the axes of the model's window."""

from pathlib import Path

import numpy as np

from mednextseg.files import make_folder
from mednextseg.geometry import Geometry
from mednextseg.models.model_card import read_card
from mednextseg.models.package_tensors import package_tensors
from mednextseg.models.weights import network_from_state_dict
from mednextseg.volume_io import image_of, write_image

_KIND = "shape_priors"


def write_priors(package: Path, folder: Path) -> list[Path]:
    """Write prior_0_background.nii.gz, prior_1_NAME.nii.gz, ...

    The volumes are float32, as fine as the priors are (a sixteenth of the window), as large as the window in mm, and centered on the
    origin. Columns of the package's axes are taken for right, anterior, superior where its card names none.

    Args:
        package: folder of a model.
        folder: created where it does not exist.
    Raises:
        ValueError: for a model without shape priors.
        OSError: where the disk is full.
    """
    card = read_card(package)
    network = network_from_state_dict(package_tensors(package, card, card.weights_files[0]), card.architecture)
    plug_ins = getattr(network, "plug_ins", {})
    if _KIND not in plug_ins:
        raise ValueError(f"the model {card.id} has no shape priors; adapt it with --method shape-priors.")
    maps = plug_ins[_KIND].maps().numpy()
    spacing = card.spacing_kji_mm or (1.0, 1.0, 1.0)
    voxel_ijk_mm = [n * mm / grid for n, mm, grid in zip(card.patch_size_kji, spacing, maps.shape[1:], strict=True)][::-1]
    ijk_to_ras = np.eye(4)
    for column, (letter, mm) in enumerate(zip(card.orientation or "RAS", voxel_ijk_mm, strict=True)):
        row = next(n for n, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        ijk_to_ras[:3, column] = 0
        ijk_to_ras[row, column] = mm if letter in "RAS" else -mm
    ijk_to_ras[:3, 3] = -ijk_to_ras[:3, :3] @ ((np.array(maps.shape[:0:-1]) - 1) / 2)
    names = ["background", *(label.name for label in card.labels)]
    target, files = make_folder(folder), []
    for number, (name, values) in enumerate(zip(names, maps, strict=True)):
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        files.append(target / f"prior_{number}_{safe}.nii.gz")
        write_image(image_of(np.ascontiguousarray(values, dtype=np.float32), Geometry(values.shape, ijk_to_ras)), files[-1])
    return files
