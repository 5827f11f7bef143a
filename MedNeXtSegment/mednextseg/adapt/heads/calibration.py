"""What is added to the logit of each structure, chosen by Dice on the training's own heads, so that rare ones are found, too.

Cross-entropy counts voxels: a network may know where a thin structure lies and still never give it the largest value. One number a
structure mends that without a further step of training. Both sides get the same one, so that neither is preferred.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mednextseg.adapt.heads.real import LabeledHead, plain_head
from mednextseg.adapt.heads.sampling import PatchGrid
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.validation import dice_of_structures
from mednextseg.kernels import accelerate
from mednextseg.networks.mednext import MedNeXt

_ADDED = torch.tensor([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
_LEAST_GAIN = 2e-4  # of the mean Dice of all structures; less is chance
_ROUNDS = 2

ScoredHead = tuple[Tensor, Tensor]  # logits (classes, K, J, I), codes (K, J, I)


def calibration_of(network: MedNeXt, heads: Sequence[LabeledHead], grid: PatchGrid, device: str = "cpu") -> Tensor:
    """(classes,): what to add to the logits of a network, by what it finds in the middle of these heads; it runs on a torch device."""
    run, scored = accelerate(network, device), []
    for head in heads:
        image, codes = plain_head(head, grid)
        logits = run(image[None, None].to(device))
        scored.append(((logits[0] if isinstance(logits, list) else logits)[0].half().cpu(), codes))
    return best_biases(scored)


def best_biases(heads: Sequence[ScoredHead]) -> Tensor:
    """(classes,): added to the logits, they give the best mean Dice over the structures that are drawn in the heads, one after the other.

    Structures that no head has keep 0, and so do those for which no number gains anything.
    """
    biases = torch.zeros(len(structures().classes))
    for _ in range(_ROUNDS):
        for classes in _both_sides(_drawn(heads)):
            added = _ADDED - biases[classes[0]]  # beside what it has already
            scores = torch.stack([_scores(head, biases, classes, added) for head in heads]).nanmean(0)
            now, best = int((added == 0).nonzero()), int(scores.argmax())
            if scores[best] > scores[now] + _LEAST_GAIN:
                biases[classes] = _ADDED[best]
    return biases


def _drawn(heads: Sequence[ScoredHead]) -> set[int]:
    """Classes that occur in the codes of a head."""
    found = {code for _, codes in heads for code in codes.unique().tolist()}
    return {code for code in found if 0 < code < len(structures().classes)}


def _both_sides(drawn: set[int]) -> list[list[int]]:
    """The drawn classes, each together with that of the other side."""
    mirrored = structures().mirrored
    return [sorted({code, int(mirrored[code])}) for code in sorted(drawn) if code <= mirrored[code]]


def _scores(head: ScoredHead, biases: Tensor, classes: list[int], added: Tensor) -> Tensor:
    """(added,): mean Dice of one head with each of the numbers added to these classes."""
    logits, codes = head
    logits = logits.float() + biases[:, None, None, None]
    own, which = logits[classes].max(0)
    logits[classes] = -torch.inf
    other, winner = logits.max(0)
    names = torch.tensor(classes)[which]
    found = [torch.where(own + more > other, names, winner) for more in added]
    return torch.stack([dice_of_structures(labels, codes)[1:].nanmean() for labels in found])
