"""Heads with labels that no whole-head model of ours was trained on: real ones of several contrasts and resolutions, and synthetic ones.

The reference of each head is a volume of codes (mednextseg/adapt/heads/structures.py): a class, or a set of classes that is left open.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor

from mednextseg.adapt.heads.data import label_map
from mednextseg.adapt.heads.sampling import PatchGrid
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.synthetic import synthetic_head
from mednextseg.geometry import LPS_FROM_RAS, Geometry
from mednextseg.volume_io import read_volume

_VALIDATION_MAPS, _TURNS, _SEED = 3, 2, 7
_SYNTHETIC = PatchGrid((96, 112, 96), 2.0)
_TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
# Of the CoBrALab atlas: left, right. It divides the striatum otherwise; fimbria and fornix are left out.
_COBRALAB = {
    "thalamus": ((3,), (87,)),
    "pallidum": ((2,), (86,)),
    "amygdala": ((13,), (97,)),
    "hippocampus": (range(7, 13), (88, 89, 90, 91, 92, 96)),
}
_GIF_PONS = 35


@dataclass(frozen=True)
class LabeledHead:
    """A head and its reference.

    Attributes:
        kind: what the scan is, for tables.
        name: of the case.
        volume_kji, geometry: the scan.
        codes_kji, reference: the labels as codes, on a grid of their own.
    """

    kind: str
    name: str
    volume_kji: np.ndarray
    geometry: Geometry
    codes_kji: Tensor
    reference: Geometry

    def compared(self, classes_kji: np.ndarray) -> tuple[Tensor, Tensor]:
        """Classes (on the scan's grid) and codes, both on the reference's grid, and background where nothing was scanned.

        A reference may reach beyond the scan, as labels drawn on another one do; nobody can name what a scan does not show.
        """
        matrix = np.linalg.inv(self.geometry.ijk_to_ras) @ self.reference.ijk_to_ras
        steps, offset = matrix[:3, :3][::-1, ::-1], matrix[:3, 3][::-1]
        is_scanned, codes_kji = np.ones(classes_kji.shape, np.uint8), np.asarray(self.codes_kji)
        ours, seen = (
            ndimage.affine_transform(part, steps, offset, codes_kji.shape, order=0, mode="grid-constant")
            for part in (classes_kji, is_scanned)
        )
        return torch.from_numpy(ours.astype(np.int64)), torch.from_numpy(np.where(seen, codes_kji, 0))


def ixi_heads(data: Path) -> Iterator[LabeledHead]:
    """T1 heads of IXI with labels of DLMUSE: the validation cases of split.json."""
    folder = data / "ixi_brain"
    for name in json.loads((folder / "split.json").read_text(encoding="utf-8"))["val"]:
        volume, geometry = read_volume(folder / "images" / f"{name}_0000.nii.gz")
        values, reference = read_volume(folder / "labels" / f"{name}.nii.gz")
        yield LabeledHead("IXI, T1 2 mm", name, volume, geometry, _codes(values, "muse"), reference)


def flair_heads(data: Path) -> Iterator[LabeledHead]:
    """A FLAIR head of thick slices with labels of GIF, whose numbers are those of MUSE and one more."""
    volume, geometry = read_volume(data / "brain_singles" / "fpg" / "FLAIR_head_5.5mm.nii.gz")
    values, reference = read_volume(data / "brain_singles" / "fpg" / "gif_labels_T1space.nii.gz")
    codes = _codes(np.maximum(values.astype(np.int64) - 1, 0), "muse")
    codes[torch.from_numpy(values == _GIF_PONS)] = structures().code("brain stem")
    yield LabeledHead("FLAIR 5.5 mm", "fpg", volume, geometry, codes, reference)


def t1_heads(data: Path) -> Iterator[LabeledHead]:
    """A T1 head with labels of FreeSurfer's aparc+aseg."""
    folder = data / "brain_singles" / "mrtrix_sub01"
    volume, geometry = read_volume(folder / "T1w_head_1.8mm.nii.gz")
    image = nibabel.load(folder / "aparc+aseg.mgz")
    values = np.asarray(image.dataobj).astype(np.int64).transpose(2, 1, 0)
    values = np.select([values >= 2000, values >= 1000], [42, 3], values)
    codes = _codes(values, "freesurfer")
    codes[torch.from_numpy((values >= 251) & (values <= 255))] = structures().code("corpus callosum")
    yield LabeledHead("T1 1.8 mm", "mrtrix_sub01", volume, geometry, codes, Geometry(values.shape, image.affine))


def mni_heads(data: Path) -> Iterator[LabeledHead]:
    """The MNI152 template inside the package nilearn, with labels of the CoBrALab atlas."""
    template = Path(importlib.util.find_spec("nilearn").submodule_search_locations[0]) / "datasets" / "data" / _TEMPLATE
    volume, geometry = read_volume(template)
    labels = data / "mini3d" / "mni152_09a_sym" / _TEMPLATE.replace("converted", "labels")
    values, reference = read_volume(labels)
    codes = torch.zeros(values.shape, dtype=torch.int64)
    for name, sides in _COBRALAB.items():
        for side, numbers in zip(("left", "right"), sides, strict=True):
            codes[torch.from_numpy(np.isin(values, list(numbers)))] = structures().code(f"{side} {name}")
    yield LabeledHead("MNI152, T1 1 mm", "MNI152", volume, geometry, codes, reference)


def synthetic_heads(data: Path) -> Iterator[LabeledHead]:
    """Images of random contrast of the label maps that training leaves out, the same ones every time."""
    generator = Generator().manual_seed(_SEED)
    paths = sorted((data / "synthseg_labels").glob("*.nii.gz"))[-_VALIDATION_MAPS:]
    matrix = LPS_FROM_RAS @ np.diag([_SYNTHETIC.spacing_mm] * 3 + [1.0])
    grid = Geometry(_SYNTHETIC.size_kji, matrix)
    for turn in range(_TURNS):
        for path in paths:
            image, codes = synthetic_head(label_map(path), _SYNTHETIC, generator)
            name = f"{path.name.removesuffix('.nii.gz')} {turn + 1}"
            yield LabeledHead("synthetic, 2 mm", name, image.numpy(), grid, codes, grid)


SETS: dict[str, Callable[[Path], Iterator[LabeledHead]]] = {
    "ixi": ixi_heads,
    "flair": flair_heads,
    "t1": t1_heads,
    "mni": mni_heads,
    "synthetic": synthetic_heads,
}


def _codes(values: np.ndarray, labeling: str) -> Tensor:
    return structures().joins[labeling][torch.from_numpy(values.astype(np.int64))]
