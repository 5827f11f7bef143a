"""From volumes without labels to a window policy: pairs of some, a network that learns them, and a judgement on the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mednextseg.adapt.tuning.progress import TuningState
from mednextseg.adapt.window_policy.decision_training import train_decision
from mednextseg.adapt.window_policy.window_pairs import PairMaker, WindowPairs
from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import CASE_ERRORS
from mednextseg.errors import sentence_of
from mednextseg.json_values import listed
from mednextseg.models.base_model import BaseModel
from mednextseg.models.families import number_of_axes, size_divisor
from mednextseg.models.learned_windows import LearnedWindows
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.policy_facts import PolicyFacts
from mednextseg.segment.bank import check_bank
from mednextseg.segment.network_run import multiply_adds_of, sliding_window_for
from mednextseg.segment.prepare.input_check import checked_channels
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.layout import Shape
from mednextseg.segment.windows.option_choice import chosen_options

EPSILON = 0.02
BUDGETS = (0.0, 0.25, 0.5, 0.75, 1.0)
# One volume in so many is judged on and not learned from.
_JUDGED = 4


@dataclass(frozen=True)
class JudgedBudget:
    """How a budget did on the windows of volumes that were not learned from, as means.

    Attributes:
        cost: share of what every window by the best model costs.
        score: Dice of the windows' answers to the run over every window.
        shares: of the windows that got each option, from the cheapest to the best.
    """

    budget: float
    cost: float
    score: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class TrainedPolicy:
    """The result: the policy, how many windows it learned from, and how it did on the judged volumes."""

    policy: LearnedWindows
    windows: int
    judged_cases: tuple[str, ...]
    judged: tuple[JudgedBudget, ...]


def train_policy(
    best: LoadedModel,
    others: Sequence[LoadedModel],
    volumes: dict[str, Sequence[Path]],
    minutes: float,
    seed: int = 0,
    epsilon: float = EPSILON,
    device: str = "cpu",
    show: Callable[[TuningState], None] = lambda state: None,
) -> TrainedPolicy:
    """Train the policy "bank" where there are other models, else "dynamic".

    Args:
        best: the model whose windows are decided on.
        others: cheaper models with the same labels.
        volumes: by name, the file of each channel.
        minutes: after which no further volume is looked at; two are in any case.
        seed: of the decision network's first weights; device: of the models.
        epsilon: what an answer may be worse in Dice than the best one and still be good enough.
        show: receives how far it is; may raise to stop.
    Raises:
        ValueError: in one sentence, for models or volumes that cannot be used.
    """
    others, crop_kji = _checked(best, others)
    if len(volumes) < 2:
        raise ValueError(f"a window policy is trained on at least two volumes, got {len(volumes)}; give more.")
    pairs = _looked_at(best, others, crop_kji, volumes, minutes, device, show)
    show(TuningState("training the decision network", fraction=1.0))
    judged = [name for number, name in enumerate(pairs) if number % _JUDGED == _JUDGED - 1] or [list(pairs)[-1]]
    learned = WindowPairs.joined([part for name, part in pairs.items() if name not in judged])
    network = train_decision(learned, crop_kji is not None, epsilon, seed)
    costs = _costs(best, others, crop_kji)
    choose = partial(_chosen, network, costs, crop_kji is not None)
    facts = PolicyFacts(
        kind="bank" if others else "dynamic",
        model=_named(best),
        others=tuple(map(_named, others)),
        patch_kji=tuple(best.card.patch_size_kji),
        crop_kji=crop_kji,
        costs=costs,
        least=_share(choose(WindowPairs.joined(list(pairs.values())), 0.0), costs),
        cases=tuple(pairs),
    )
    seen = [pairs[name] for name in judged]
    return TrainedPolicy(
        LearnedWindows(facts, network),
        len(learned.scores),
        tuple(judged),
        tuple(_judged(seen, choose, costs, budget) for budget in BUDGETS),
    )


def _looked_at(
    best: LoadedModel,
    others: tuple[LoadedModel, ...],
    crop_kji: Shape | None,
    volumes: dict[str, Sequence[Path]],
    minutes: float,
    device: str,
    show: Callable[[TuningState], None],
) -> dict[str, WindowPairs]:
    """Pairs of as many volumes as the minutes allow, two at the least."""
    started, pairs = time.monotonic(), {}
    for number, (name, files) in enumerate(volumes.items()):
        spent = time.monotonic() - started
        if number >= 2 and spent > 60 * minutes:
            break
        done = max(number / len(volumes), min(spent / (60 * minutes), 1.0))
        show(TuningState(f"looking at {name}", number, len(volumes), done))
        pairs[name] = _pairs_of(best, others, crop_kji, name, files, device)
    return pairs


def _checked(best: LoadedModel, others: Sequence[LoadedModel]) -> tuple[tuple[LoadedModel, ...], Shape | None]:
    """The cheaper models in the order of their cost, and the size of a crop where there are none."""
    card, patch_kji = best.card, tuple(best.card.patch_size_kji)
    if card.parts or card.previous_labels or card.activation != "softmax":
        raise ValueError(
            f"window policies are for models of one network whose labels exclude each other, and {card.id} is none; "
            'the policy "coarse" needs no training.'
        )
    if others:
        check_bank(card, [other.card for other in others])
        ordered = sorted(others, key=lambda other: multiply_adds_of(other.network_config, patch_kji))
        dearest = ordered[-1]
        if multiply_adds_of(dearest.network_config, patch_kji) >= multiply_adds_of(best.network_config, patch_kji):
            raise ValueError(
                f"{dearest.card.id} is no cheaper than {card.id}; give the most costly model of a bank as --model."
            )
        return tuple(ordered), None
    config = best.network_config
    divisors = (1,) * (3 - number_of_axes(config)) + tuple(size_divisor(config))
    return (), crop_size(patch_kji, divisors)


def crop_size(patch_kji: Shape, divisor_kji: Shape) -> Shape:
    """Three quarters of the window along each axis, as in Med-DANet V2, or less where the network takes only multiples."""
    return tuple(
        max(n * 3 // 4 // divisor * divisor, min(n, divisor)) for n, divisor in zip(patch_kji, divisor_kji, strict=True)
    )


def _pairs_of(
    best: LoadedModel, others: tuple[LoadedModel, ...], crop_kji: Shape | None, name: str, files: Sequence[Path], device: str
) -> WindowPairs:
    card = best.card
    try:
        volume, geometry = read_channels(files)
        volume_ckji = checked_channels(volume, geometry, card)
        check_region(geometry, card, None)
        prepared = prepare(volume_ckji, geometry, card)
    except CASE_ERRORS as error:
        raise ValueError(f"the volume {listed([name])} cannot be used: {sentence_of(error)}") from error
    sliding = sliding_window_for(card, SegmentRecipe(), device)
    return PairMaker(sliding, best, others, crop_kji).pairs(prepared.image_ckji)


def _costs(best: LoadedModel, others: Sequence[LoadedModel], crop_kji: Shape | None) -> tuple[float, ...]:
    patch_kji = tuple(best.card.patch_size_kji)
    full = float(multiply_adds_of(best.network_config, patch_kji))
    if crop_kji is not None:
        return 0.0, float(multiply_adds_of(best.network_config, crop_kji)), full
    return *(float(multiply_adds_of(other.network_config, patch_kji)) for other in others), full


def _named(model: LoadedModel) -> BaseModel:
    return BaseModel(model.card.id, model.card.version, model.card.weights_sha256)


def _chosen(
    network: torch.nn.Module, costs: Sequence[float], may_be_empty: bool, pairs: WindowPairs, budget: float
) -> np.ndarray:
    with torch.inference_mode():
        falls_short = network.falls_short(pairs.features).double().numpy()
    return chosen_options(falls_short, np.array(costs), budget, may_be_empty)


def _share(options: np.ndarray, costs: Sequence[float]) -> float:
    return float(np.array(costs)[options].mean() / costs[-1])


def _judged(
    seen: Sequence[WindowPairs], choose: Callable[[WindowPairs, float], np.ndarray], costs: Sequence[float], budget: float
) -> JudgedBudget:
    """Volume by volume, as runs choose."""
    chosen = [choose(pairs, budget) for pairs in seen]
    scores = np.concatenate([pairs.scores[range(len(options)), options] for pairs, options in zip(seen, chosen, strict=True)])
    options = np.concatenate(chosen)
    shares = np.bincount(options, minlength=len(costs)) / len(options)
    return JudgedBudget(budget, _share(options, costs), float(scores.mean()), tuple(float(share) for share in shares))
