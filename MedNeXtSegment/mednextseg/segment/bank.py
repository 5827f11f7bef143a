"""The other models of a bank: found by the hashes of their weights, and sure to look at the same image as the best one."""

from collections.abc import Sequence

from mednextseg.json_values import listed
from mednextseg.models.learned_windows import LearnedWindows
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.model_card import ModelCard
from mednextseg.models.package_tensors import installed_base
from mednextseg.segment.prepare.prepared_once import PREPARED_BY

# Windows of several models are averaged where they overlap, so all of this must be alike.
_ALIKE = (*PREPARED_BY, "activation", "average", "interpolated", "labels_overlap", "padding", "parts", "previous_labels")


def opened_bank(learned: LearnedWindows, best: ModelCard) -> tuple[LoadedModel, ...]:
    """The cheaper models of a policy, opened.

    Raises:
        ValueError: where one of them is not installed with these weights, or does not fit the best one.
    """
    others: list[LoadedModel] = []
    if not learned.facts.others:
        return ()
    for wanted in learned.facts.others:
        folder = installed_base(wanted)
        if folder is None:
            raise ValueError(
                f"the bank of {best.id} needs the model {wanted.id} {wanted.version} with the weights it was trained with, which is not "
                f'installed; install it, or take the window_policy "coarse".'
            )
        others.append(load_model(folder))
    check_bank(best, [other.card for other in others])
    return tuple(others)


def check_bank(best: ModelCard, others: Sequence[ModelCard]) -> None:
    """Whether the models of a bank can take each other's windows.

    Raises:
        ValueError: naming a model that differs in labels or preparation, or is an ensemble.
    """
    for card in (best, *others):
        if len(card.weights_sha256) != 1 or card.parts:
            raise ValueError(f"a bank takes models of one network each, and {card.id} has several; choose another model.")
    for card in others:
        differing = [name for name in _ALIKE if getattr(card, name) != getattr(best, name)]
        if [(label.value, label.name) for label in card.labels] != [(label.value, label.name) for label in best.labels]:
            differing.insert(0, "labels")
        if differing:
            raise ValueError(
                f"the models of a bank must have the same labels and look at the same image, and {card.id} differs from {best.id} in "
                f"{listed(differing)}; choose another model."
            )
