"""ClickNet in use: which part of the slice it looks at, and its answer on the slice's own pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mednextseg.models.library import verify_model
from mednextseg.models.model_card import CARD_FILE, WEIGHTS_FILE, read_card
from mednextseg.models.weights import load_strictly, read_safetensors
from mednextseg.networks.click_net import ClickNet, build_click_net
from mednextseg.refine.completion.completing_network import CompletingNetwork
from mednextseg.refine.prompter import (
    Cancel,
    Embedding,
    PromptCancelledError,
    PrompterInfo,
    Result,
    checked,
    obey_prompts,
    only_takes_away,
    scaled_to_display,
    started_by_lassos,
)
from mednextseg.refine.prompters.network_view import NetworkView, view_around, whole_slice
from mednextseg.refine.prompters.prompt_channels import prompt_channels
from mednextseg.refine.prompts import Prompts

COMPLETION_FOLDER = "whole_object"  # of the package: a package of its own

_MARGIN = 2.4  # side of the view over the longer side of what the prompts enclose; less hides what a small mask has missed
_LEAST_SIDE_PX = 20.0  # of the slice in a view: there are objects of 30 pixels in all, and less shows nothing but interpolation
STROKE_STEP_PX = 18.0  # of the view; a scribble is seen as clicks so far apart
_LEAST_STROKE_PX = 4.0  # a shorter scribble does not say how large the object is
_LOOK_AGAIN_BELOW = 0.6  # a first answer that fits into this share of the whole slice is redone on a closer view


class ClickNetPrompter:
    """A trained ClickNet.

    Args:
        network: in evaluation mode, on `device`.
        native_size_px: side of the view it was trained on.
        disk_radius_px: radius of a click in that view.
        model_hash: SHA-256 of the weights.
        device: torch device name.
        license: of the weights.
        box_margin: side of the view over the longer side of a box and what else is prompted, as it was trained.
        completion: what completes whole objects; None leaves that to a random walk.
    """

    def __init__(
        self,
        network: ClickNet,
        native_size_px: int,
        disk_radius_px: float,
        model_hash: str,
        device: str = "cpu",
        license: str = "",
        box_margin: float = _MARGIN,
        completion: CompletingNetwork | None = None,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last).eval()
        self.completion = completion
        self.disk_radius_px, self.box_margin, self.device = disk_radius_px, box_margin, torch.device(device)
        self.info = PrompterInfo("clicknet", model_hash, False, native_size_px=native_size_px, device=device, license=license)

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> "ClickNetPrompter":
        """Open a model package folder (card.json, weights.safetensors).

        Raises:
            FileNotFoundError: where the package is incomplete.
            ValueError: where the weights are not those the card names.
        """
        if not (folder / CARD_FILE).is_file() or not (folder / WEIGHTS_FILE).is_file():
            raise FileNotFoundError(f'{folder} holds no trained ClickNet; use the prompter "random_walker", or train one.')
        card = read_card(folder)
        problems = verify_model(folder)
        if card.family != "clicknet" or problems:
            reason = ", ".join(problems) or f'its card says "{card.family}"'
            raise ValueError(f"{folder} is no whole ClickNet package ({reason}); install the model again.")
        network = build_click_net(**card.architecture)
        load_strictly(network, read_safetensors(folder / WEIGHTS_FILE))
        prompts = card.extra["prompts"]
        sizes = prompts["view_size_px"], prompts["disk_radius_px"]
        margin = prompts.get("box_margin", _MARGIN)  # earlier models were not trained on views of a box
        completes = (folder / COMPLETION_FOLDER).is_dir()
        completion = CompletingNetwork.from_folder(folder / COMPLETION_FOLDER, device) if completes else None
        return cls(network, *sizes, card.weights_sha256[0], device, card.weights_license, margin, completion)

    def encode(
        self,
        image_rc: np.ndarray,
        spacing_rc_mm: tuple[float, float] = (1.0, 1.0),
        display_range: tuple[float, float] | None = None,
    ) -> Embedding:
        """Scale the slice to what is displayed; nothing is encoded, every click sees the image itself. See Prompter.encode."""
        return Embedding(scaled_to_display(image_rc, display_range), tuple(spacing_rc_mm))

    def predict(self, embedding: Embedding, prompts: Prompts, state: Any = None, cancel: Cancel | None = None) -> Result:
        """Answer prompts on the closest view that holds them; see Prompter.predict. `state` is not used.

        Without a box or mask the object's size is unknown: the whole slice is looked at first, or the surroundings of a scribble,
        and where the answer is small a second, closer look starts from it.
        """
        checked(embedding, prompts)
        shape = embedding.image_rc.shape
        if only_takes_away(prompts):
            return Result(np.zeros(shape, np.float32))
        prompts = started_by_lassos(prompts, shape)
        focus = _focus(prompts)
        if focus is not None:
            margin = _MARGIN if prompts.box is None else self.box_margin
            return self._look(embedding, prompts, self._view(focus, shape, margin))
        drawn = _around_scribbles(prompts)
        first = self._look(embedding, prompts, self._view(drawn, shape))
        again = prompts.with_mask(first.probability)
        focus = _focus(again)
        if focus is None:
            return first
        closer = self._view(focus, shape)
        if drawn is None and closer.side > _LOOK_AGAIN_BELOW * max(shape):
            return first
        if cancel is not None and cancel():
            raise PromptCancelledError("a newer prompt has arrived.")
        return self._look(embedding, again, closer)

    def _view(self, focus: np.ndarray | None, shape: tuple[int, int], margin: float = _MARGIN) -> NetworkView:
        size = self.info.native_size_px
        return whole_slice(shape, size) if focus is None else view_around(focus, margin, _LEAST_SIDE_PX, shape, size)

    def _look(self, embedding: Embedding, prompts: Prompts, view: NetworkView) -> Result:
        box = None if prompts.box is None else tuple(view.box_to_view(prompts.box))
        previous = None if prompts.mask is None else view.cut(prompts.mask)
        points, labels = _dots(prompts, STROKE_STEP_PX / view.scale)
        points = view.points_to_view(points)
        channels = prompt_channels(view.cut(embedding.image_rc), points, labels, box, previous, self.disk_radius_px)
        inputs = torch.from_numpy(channels)[None].to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits, quality = self.network(inputs)
            probability = torch.sigmoid(logits.float())[0, 0].cpu().numpy()
        on_slice = view.put_back(probability, embedding.image_rc.shape)
        return Result(obey_prompts(on_slice, prompts), float(torch.sigmoid(quality.float())))


def _dots(prompts: Prompts, step_px: float) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) clicks, and points of the scribbles so far apart, and their (N,) labels."""
    lines = [(stroke.sampled_rc(step_px), int(stroke.is_positive)) for stroke in prompts.scribbles]
    points = np.concatenate([prompts.points_rc, *(line for line, _label in lines)])
    return points, np.concatenate([prompts.labels, *(np.full(len(line), label) for line, label in lines)])


def _around_scribbles(prompts: Prompts) -> np.ndarray | None:
    """r0, c0, r1, c1 around the scribbles on the object; None where they are too short to say how large it is."""
    lines = [stroke.points_rc for stroke in prompts.scribbles if stroke.is_positive]
    if not lines:
        return None
    points = np.concatenate(lines)
    box = np.concatenate([points.min(axis=0), points.max(axis=0) + 1])
    return box if (box[2:] - box[:2]).max() >= _LEAST_STROKE_PX else None


def _focus(prompts: Prompts) -> np.ndarray | None:
    """r0, c0, r1, c1 around the box, the mask and the clicks; None where neither box nor mask says how large the object is."""
    boxes = [] if prompts.box is None else [prompts.box]
    if prompts.mask is not None and (prompts.mask > 0.5).any():
        rows, cols = (np.flatnonzero((prompts.mask > 0.5).any(axis=axis)) for axis in (1, 0))
        boxes.append(np.array([rows[0], cols[0], rows[-1] + 1, cols[-1] + 1], float))
    if not boxes:
        return None
    # Background clicks count too: a network that does not see them cannot follow them.
    points = np.concatenate([prompts.points_rc, *(stroke.points_rc for stroke in prompts.scribbles)])
    boxes.extend(np.concatenate([point, point + 1]) for point in points)
    stacked = np.stack(boxes)
    return np.concatenate([stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)])
