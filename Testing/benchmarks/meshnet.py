"""The MeshNet of brainchop (18 classes, MIT), a peer to compare with: read from its tfjs files and run as brainchop runs it.

The network wants voxels of 1 mm in the order L, I, A of nibabel's `conform`, clipped to percentiles 2 and 98 and scaled to [0, 1].
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.resampling import anatomical_grid, resample_affine

_ORIENTATION, _SPACING_MM, _CONFORMED = "LIA", 1.0, 256**3


class MeshNet:
    """The network in a folder with model.json, model.bin and colormap.json.

    Attributes:
        names: of the classes, the background first; both sides are one class.
    """

    def __init__(self, folder: Path) -> None:
        table = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        layers = table["modelTopology"]["model_config"]["config"]["layers"]
        self._dilations = [layer["config"]["dilation_rate"][0] for layer in layers if layer["class_name"] == "Conv3D"]
        content = np.fromfile(folder / "model.bin", dtype="<f4")
        shapes = [weight["shape"] for group in table["weightsManifest"] for weight in group["weights"]]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        arrays = [content[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]
        kernels = [np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2)) for kernel in arrays[0::2]]
        self._layers = [(torch.from_numpy(k), torch.from_numpy(b.copy())) for k, b in zip(kernels, arrays[1::2], strict=True)]
        self.names = tuple(json.loads((folder / "colormap.json").read_text(encoding="utf-8"))["labels"])

    def segment(self, volume_kji: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Classes on the volume's own grid, int16 (K, J, I)."""
        grid = anatomical_grid(geometry, _ORIENTATION, (_SPACING_MM,) * 3)
        conformed_kji = resample_affine(volume_kji, geometry, grid, order=1)
        # Percentiles are those of the conformed cube, most of which may be empty.
        empty = np.zeros(max(0, _CONFORMED - conformed_kji.size), dtype=np.float32)
        low, high = np.percentile(np.concatenate([conformed_kji.ravel(), empty]), (2, 98))
        scaled_kji = np.clip((conformed_kji - low) / (high - low), 0, 1).astype(np.float32)
        classes_ijk = self._classes(torch.from_numpy(np.ascontiguousarray(scaled_kji.transpose(2, 1, 0))))
        classes_kji = classes_ijk.numpy().transpose(2, 1, 0).astype(np.int16)
        return resample_affine(classes_kji, grid, geometry, order=0).astype(np.int16)

    @torch.inference_mode()
    def _classes(self, image: Tensor) -> Tensor:
        x = image[None, None]
        for (kernel, bias), dilation in zip(self._layers[:-1], self._dilations[:-1], strict=True):
            x = functional.elu_(functional.conv3d(x, kernel, bias, padding=dilation, dilation=dilation))
        return functional.conv3d(x, *self._layers[-1])[0].argmax(0)
