"""An adaptation that trains nothing: threshold, smallest part, overlap and mirrored views are chosen on the cases that a fold may see.

The figures are those of a fold's other cases, as with every method: what was tuned on a case never praises itself on it.

A threshold on the structures' probability is the same as a shift of the background's logit, log(t / (1 - t)), exact where logits are
averaged: so it is packaged as the bias of the last layer, and no run needs to know of it.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from mednextseg.adapt.tuning.adaptation_run import AdaptationRun
from mednextseg.adapt.tuning.examples import Example
from mednextseg.adapt.tuning.folds import Fold
from mednextseg.adapt.tuning.settings.search import Settings, search
from mednextseg.kernels import accelerate
from mednextseg.models.clean_up import Postprocessing
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard
from mednextseg.models.new_head import head_tensors
from mednextseg.models.sides import mirroring_with
from mednextseg.networks.plug_ins.plug_in import PREFIX
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.network_run import sliding_window_for
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.sliding_window import WindowCount, predict_slabs

# Wide, so that the best lies inside: on images of uneven brightness it is 0.02 (docs/developers/adapt_figures.md).
_THRESHOLDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
_SMALLEST_MM3 = (0.0, 10.0, 50.0, 200.0, 1000.0)
_OVERLAPS = (0.25, 0.5, 0.75)
_NEUTRAL = 0.5


class TunedRun(AdaptationRun):
    """The method "settings"."""

    def _settle_steps(self) -> None:
        self._begin_plan(lambda: 0)

    def _trained(self, name: str, fold: Fold) -> tuple[nn.Module, LoadedModel]:
        """The base's network with its threshold, and the base with the card's other settings."""
        self.progress.training(name)
        card = self._card_of_labels()
        values = _Values(self._start, card, [self.examples[case] for case in fold.training], self.device)
        grids = {
            "threshold": _THRESHOLDS if _background_biases(self._start) else (_NEUTRAL,),
            "smallest_mm3": _SMALLEST_MM3,
            "overlap": tuple(sorted({*_OVERLAPS, card.overlap})),
            "mirrored": (False, True) if card.mirror_axes_kji else (False,),
        }
        start = {"threshold": _NEUTRAL, "smallest_mm3": 0.0, "overlap": card.overlap, "mirrored": card.tta}

        def reward(settings: Settings) -> float:
            self.progress.stage(f"tuning for {name}: {_said(settings)}")
            return values.mean_dice(settings, _with_settings(card, settings))

        chosen, _ = search(grids, start, reward, self.options.seed)
        self.progress.stage(f"chosen: {_said(chosen)}")
        network = copy.deepcopy(self._start)
        _shift_background(network, chosen["threshold"])
        return network, replace(self.base, card=_with_settings(self.base.card, chosen))

    def _card_of_labels(self) -> ModelCard:
        """The base's card with the labels of the result, for its clean-up on the network's own classes."""
        names = {label.name for label in self.labels.labels}
        labels = tuple(replace(label, value=number) for number, label in enumerate(self.labels.labels, start=1))
        rules = tuple(rule for rule in self.base.card.component_rules if names.issuperset(rule.labels))
        sides = mirroring_with(self.base.card, names)
        return replace(self.base.card, labels=labels, component_rules=rules, **sides)


class _Values:
    """Class values of the cases a way of running at a time, kept so that thresholds and parts cost no network."""

    def __init__(self, network: nn.Module, card: ModelCard, examples: Sequence[Example], device: str) -> None:
        self._run, self._card, self._examples, self._device = accelerate(network, device), card, examples, device
        self._classes = network.config.num_classes
        self._kept: dict[tuple, list[np.ndarray]] = {}

    def mean_dice(self, settings: Settings, card: ModelCard) -> float:
        """Mean over cases and the labels that were drawn in them."""
        shift = math.log(settings["threshold"] / (1 - settings["threshold"]))
        voxel_mm3 = float(np.prod(card.spacing_kji_mm)) if card.spacing_kji_mm else 1.0
        scores = []
        for example, kept in zip(self._examples, self._values(settings), strict=True):
            values = kept.astype(np.float32)
            values[0] += shift
            found = clean_labels(values.argmax(axis=0), card, voxel_mm3)
            for number in np.unique(example.classes_kji[example.classes_kji > 0]):
                truth, guess = example.classes_kji == number, found == number
                scores.append(2 * (truth & guess).sum() / (truth.sum() + guess.sum()))
        return float(np.mean(scores)) if scores else 0.0

    def _values(self, settings: Settings) -> list[np.ndarray]:
        key = (settings["overlap"], settings["mirrored"])
        if key not in self._kept:
            recipe = SegmentRecipe(overlap=settings["overlap"], tta=settings["mirrored"])
            sliding = sliding_window_for(replace(self._card, tta=False), recipe, self._device)
            # Logits lie within a few tens: half precision is nearer than any threshold asks for.
            self._kept[key] = [
                np.concatenate([part.cpu().numpy().astype(np.float16) for _, part in self._slabs(example, sliding)], axis=1)
                for example in self._examples
            ]
        return self._kept[key]

    def _slabs(self, example: Example, sliding: object) -> object:
        for k, values in predict_slabs(example.image_ckji, [lambda: self._run], self._classes, sliding, WindowCount()):
            yield k, values.log() if self._card.average == "probabilities" else values


def _with_settings(card: ModelCard, settings: Settings) -> ModelCard:
    rules = {
        label.name: replace(
            card.postprocessing.get(label.name, Postprocessing()),
            min_volume_mm3=max(settings["smallest_mm3"], card.postprocessing.get(label.name, Postprocessing()).min_volume_mm3),
        )
        for label in card.labels
    }
    return replace(card, overlap=settings["overlap"], tta=settings["mirrored"], postprocessing=rules)


def _shift_background(network: nn.Module, threshold: float) -> None:
    """Add the threshold's shift to the bias of the background in the full-size output."""
    with torch.no_grad():
        for name in _background_biases(network):
            network.get_parameter(name)[0] += math.log(threshold / (1 - threshold))


def _background_biases(network: nn.Module) -> list[str]:
    return [name for name in head_tensors(network.config) if name.endswith(".bias") and not name.startswith(PREFIX)]


def _said(settings: Settings) -> str:
    views = "with" if settings["mirrored"] else "without"
    return (
        f"threshold {settings['threshold']:g}, parts from {settings['smallest_mm3']:g} mm3, overlap {settings['overlap']:g}, "
        f"{views} mirrored views"
    )
