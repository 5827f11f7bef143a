"""SAM-Med2D, SAM ViT-B and MedSAM checkpoints as prompters, each fed exactly as its authors feed it.

What differs between the three families, and what goes wrong silently when it is mixed up:

    family      image                                              mask prompt           decoded masks
    sam_med2d   nearest to 256 x 256, mean/std, trained on BGR     64 x 64 probability   always 3, best predicted IoU
    sam         longest side to 1024, padded, mean/std, RGB        256 x 256 logits      3 for one lone click, else 1
    medsam      cubic to 1024 x 1024, minimum-maximum to [0, 1]    none                  1; boxes only
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mednextseg.json_values import listed
from mednextseg.models.library import sha256_of
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint
from mednextseg.models.weights import load_strictly, read_safetensors
from mednextseg.networks.sam_med2d import SamMed2D, build_sam_med2d
from mednextseg.refine.prompter import (
    Cancel,
    Embedding,
    PrompterInfo,
    Result,
    checked,
    obey_prompts,
    only_takes_away,
    scaled_to_display,
    started_by_lassos,
)
from mednextseg.refine.prompts import Prompts

FAMILIES = ("sam_med2d", "sam", "medsam")
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_VIT_B_WIDTH = 768
_LOGIT_LIMIT = 8.0  # of a mask prompt made from hard 0 and 1
_CLICKS_OF_A_SCRIBBLE = 4  # at most, at equal distances


@dataclass(frozen=True, eq=False)
class SamFeatures:
    """An image embedding in half precision, (1, 256, grid, grid), and the scale from slice to network pixels."""

    embedding: Tensor
    scale_rc: tuple[float, float]

    @property
    def nbytes(self) -> int:
        return self.embedding.nbytes


class SamPrompter:
    """A promptable network of SAM's layout.

    Args:
        network: with its weights.
        family: one of FAMILIES.
        model_hash: SHA-256 of the checkpoint.
        device: a torch device name.
    Raises:
        ValueError: for an unknown family.
    """

    completion = None

    def __init__(self, network: SamMed2D, family: str, model_hash: str, device: str = "cpu") -> None:
        if family not in FAMILIES:
            raise ValueError(f"the family of a checkpoint is one of {listed(FAMILIES)}; got {family!r}.")
        self.network, self.family, self.device = network.to(device).eval(), family, torch.device(device)
        kinds = ("box", "lasso") if family == "medsam" else ("point", "box", "mask", "scribble", "lasso")
        memory = sum(tensor.nbytes for tensor in self.network.state_dict().values())
        self.info = PrompterInfo(family, model_hash, True, kinds, network.image_size, device, memory_bytes=memory)

    @classmethod
    def from_checkpoint(cls, path: Path, device: str = "cpu", family: str | None = None) -> "SamPrompter":
        """Open a checkpoint; nothing in the file can run code.

        The official `sam-med2d_b.pth` has its weights under "model", beside an optimizer; plain state dicts and safetensors
        are read as well.

        Raises:
            ValueError: where the tensors are no ViT-B of SAM's layout, or leave open whether they are SAM's or MedSAM's and
                `family` does not say.
        """
        tensors = read_safetensors(path) if path.suffix == ".safetensors" else _unwrapped(load_checkpoint(path))
        image_size, adapters = layout_of(tensors)
        family = _family(image_size, adapters, family)
        with torch.device("meta"):  # 271 million random numbers would be drawn only to be overwritten
            network = build_sam_med2d(image_size, adapters)
        network.to_empty(device="cpu")
        load_strictly(network, tensors)
        return cls(network, family, sha256_of(path), device)

    def encode(
        self,
        image_rc: np.ndarray,
        spacing_rc_mm: tuple[float, float] = (1.0, 1.0),
        display_range: tuple[float, float] | None = None,
    ) -> Embedding:
        """Encode a slice; costly and worth caching. See Prompter.encode. Colors are given as RGB."""
        gray = scaled_to_display(image_rc, display_range)
        pixels = np.asarray(image_rc, np.float32) if np.ndim(image_rc) == 3 else np.repeat(gray[..., None] * 255.0, 3, axis=2)
        if self.family == "sam_med2d":
            pixels = pixels[..., ::-1]  # its training read images with OpenCV, blue first
        # Inference mode: a cached embedding must not keep the encoder's graph alive.
        with torch.inference_mode():
            inputs, scale = network_input(pixels, self.family, self.network.image_size)
            embedding = self.network.image_encoder(inputs.to(self.device))
        return Embedding(gray, tuple(spacing_rc_mm), SamFeatures(embedding.half().cpu(), scale))

    def predict(self, embedding: Embedding, prompts: Prompts, state: Any = None, cancel: Cancel | None = None) -> Result:
        """Answer prompts; see Prompter.predict. `state` is the last low-resolution mask logits, (1, 1, 4 * grid, 4 * grid)."""
        checked(embedding, prompts)
        if only_takes_away(prompts):
            return Result(np.zeros(embedding.image_rc.shape, np.float32))
        prompts = _in_sams_words(started_by_lassos(prompts, embedding.image_rc.shape))
        if self.family == "medsam" and (prompts.box is None or len(prompts.points_rc)):
            raise ValueError("MedSAM understands boxes only: draw a box, or choose another network for clicks.")
        features = embedding.features
        with torch.inference_mode():
            points, box = self._points(prompts, features.scale_rc), self._box(prompts, features.scale_rc)
            mask = None if self.family == "medsam" else self._mask(prompts, state, features.scale_rc)
            lone_click = len(prompts.points_rc) == 1 and box is None and mask is None
            several = self.family == "sam_med2d" or (self.family == "sam" and lone_click)
            image = features.embedding.to(self.device, torch.float32)
            logits, scores = self.network(image, points, box, mask, multimask_output=several)
            best = int(scores[0].argmax())
            low_resolution = logits[:, best : best + 1]
            full = self._on_slice(low_resolution, embedding.image_rc.shape, features.scale_rc)
            probability = torch.sigmoid(full)[0, 0].cpu().numpy().copy()
        score = float(scores[0, best].clamp(0, 1))
        return Result(obey_prompts(probability, prompts), score, low_resolution.cpu())

    def _points(self, prompts: Prompts, scale_rc: tuple[float, float]) -> tuple[Tensor, Tensor] | None:
        """All clicks as x, y of the network's input. Scaled as the authors do it, which fits their resampling."""
        if not len(prompts.points_rc):
            return None
        xy = (prompts.points_rc * scale_rc)[:, ::-1].copy()
        labels = torch.from_numpy(prompts.labels.copy())
        return torch.from_numpy(xy)[None].to(self.device, torch.float32), labels[None].to(self.device)

    def _box(self, prompts: Prompts, scale_rc: tuple[float, float]) -> Tensor | None:
        if prompts.box is None:
            return None
        r0, c0, r1, c1 = prompts.box * (*scale_rc, *scale_rc)
        return torch.tensor([[c0, r0, c1, r1]], dtype=torch.float32, device=self.device)

    def _mask(self, prompts: Prompts, state: Tensor | None, scale_rc: tuple[float, float]) -> Tensor | None:
        """The mask prompt in the form of the family: probabilities for SAM-Med2D, logits for SAM."""
        if state is not None:
            return (torch.sigmoid(state) if self.family == "sam_med2d" else state).to(self.device)
        if prompts.mask is None:
            return None
        side = self.network.image_size // 4
        mask = torch.from_numpy(prompts.mask.copy())[None, None]
        filled = [max(1, round(n * s / 4)) for n, s in zip(prompts.mask.shape, scale_rc, strict=True)]
        small = torch.zeros(1, 1, side, side)
        small[..., : filled[0], : filled[1]] = F.interpolate(mask, filled, mode="area")
        if self.family == "sam":
            small = torch.logit(small, 1e-6).clamp(-_LOGIT_LIMIT, _LOGIT_LIMIT)
        return small.to(self.device)

    def _on_slice(self, logits: Tensor, shape_rc: tuple[int, int], scale_rc: tuple[float, float]) -> Tensor:
        """Low-resolution logits on the slice's own pixels: bilinear to the network's input, padding cut, bilinear again."""
        size = self.network.image_size
        full = F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)
        rows, cols = (min(size, max(1, round(n * s))) for n, s in zip(shape_rc, scale_rc, strict=True))
        return F.interpolate(full[..., :rows, :cols], shape_rc, mode="bilinear", align_corners=False)


def _in_sams_words(prompts: Prompts) -> Prompts:
    """Prompts whose scribbles are clicks along them, and whose lasso has a box around it where there is no other: SAM knows no lines.

    The scribbles and lassos stay among them, to be obeyed.
    """
    for stroke in prompts.scribbles:
        for point in stroke.sampled_rc(max(1.0, stroke.length_px / (_CLICKS_OF_A_SCRIBBLE - 1))):
            prompts = prompts.with_point(point, stroke.is_positive)
    enclosing = [stroke.points_rc for stroke in prompts.strokes if stroke.is_lasso and stroke.is_positive]
    if enclosing and prompts.box is None:
        corners = np.concatenate(enclosing)
        prompts = prompts.with_box(np.concatenate([corners.min(axis=0), corners.max(axis=0)]) + 0.5)
    return prompts


def network_input(pixels_rcx: np.ndarray, family: str, image_size: int) -> tuple[Tensor, tuple[float, float]]:
    """The preprocessing of a family.

    Args:
        pixels_rcx: (H, W, 3), 0 to 255, channels in the order the family was trained on.
        family: one of FAMILIES.
        image_size: side of the network's input.
    Returns:
        (1, 3, image_size, image_size) float32, and the scale (rows, columns) from slice pixels to input pixels.
    """
    height, width = pixels_rcx.shape[:2]
    image = torch.from_numpy(np.array(pixels_rcx, dtype=np.float32)).permute(2, 0, 1)[None]
    if family == "medsam":
        image = F.interpolate(image, (image_size, image_size), mode="bicubic", align_corners=False, antialias=True)
        image = image - image.min()
        return image / image.max().clamp(min=1e-8), (image_size / height, image_size / width)
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    if family == "sam":
        scale = image_size / max(height, width)
        resized = (int(height * scale + 0.5), int(width * scale + 0.5))
        image = F.interpolate(image, resized, mode="bilinear", align_corners=False, antialias=True)
        image = ((image - mean) / std).float()
        padded = F.pad(image, (0, image_size - resized[1], 0, image_size - resized[0]))
        return padded, (resized[0] / height, resized[1] / width)
    rows = torch.arange(image_size) * height // image_size
    cols = torch.arange(image_size) * width // image_size
    image = ((image - mean) / std).float()
    return image[:, :, rows][:, :, :, cols], (image_size / height, image_size / width)


def layout_of(tensors: dict[str, Tensor]) -> tuple[int, bool]:
    """Image size and whether there are adapters, from the tensors.

    Raises:
        ValueError: where they are not those of a ViT-B in SAM's layout.
    """
    position = tensors.get("image_encoder.pos_embed")
    if position is None or position.ndim != 4 or "mask_decoder.mask_tokens.weight" not in tensors:
        sample = listed(list(tensors)[:3])
        raise ValueError(f"these weights ({sample}, ...) are no SAM-Med2D, SAM or MedSAM checkpoint; choose another file.")
    if position.shape[-1] != _VIT_B_WIDTH:
        raise ValueError(
            f"this is a SAM of width {position.shape[-1]}; only ViT-B ({_VIT_B_WIDTH}) is supported, take that file."
        )
    return position.shape[1] * 16, any(".Adapter." in name for name in tensors)


def _family(image_size: int, adapters: bool, stated: str | None) -> str:
    if image_size == 256:
        if stated not in (None, "sam_med2d"):
            raise ValueError(f"the weights are for 256-pixel images, which is SAM-Med2D; {stated} works on 1024, leave it out.")
        return "sam_med2d"
    if stated is None and not adapters:
        raise ValueError('SAM and MedSAM have the same tensors but need other inputs; say which: family="sam" or "medsam".')
    return stated or "sam_med2d"


def _unwrapped(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors, with or without the "model" wrapper and the prefix of data parallel training."""
    inner = checkpoint.get("model", checkpoint)
    if not isinstance(inner, dict):
        raise ValueError('the checkpoint holds no tensors under "model"; give the file its authors published.')
    tensors = {str(name).removeprefix("module."): value for name, value in inner.items() if isinstance(value, Tensor)}
    return {name: value for name, value in tensors.items() if name not in ("pixel_mean", "pixel_std")}
