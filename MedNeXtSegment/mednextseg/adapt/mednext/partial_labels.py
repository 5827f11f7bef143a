"""Loss for labels that leave open what a voxel is: a structure that nobody drew must not be learned as background.

A labelmap holds codes. A code below the number of classes is that class; a further code stands for a set of classes, any of which the
voxel may be. The term of voxels asks for the probability of the set; that of regions leaves a voxel out for the classes that its set
contains.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mednextseg.adapt.losses import terms_named


def background_sets(num_classes: int, absent: Sequence[frozenset[int]]) -> Tensor:
    """The sets for cases in which some structures were not drawn.

    Args:
        absent: sets of classes that were not drawn; the background of a case with absent[n] has the code num_classes + n.
    Returns:
        (num_classes + len(absent), num_classes) bool, row = code, True where the code may be that class.
    """
    allowed = torch.eye(num_classes + len(absent), num_classes, dtype=torch.bool)
    for n, classes in enumerate(absent):
        allowed[num_classes + n, [0, *sorted(classes)]] = True
    return allowed


class PartialLabelLoss:
    """A term of voxels plus one of the foreground classes that occur, summed over deep supervision heads with weights 1, 1/2, 1/4, ...

    Args:
        allowed: (codes, classes) bool; the first rows are the identity.
        heads: how many outputs take part, full size first.
        loss: a name of adapt/losses; by default cross-entropy and Dice.
    """

    def __init__(self, allowed: Tensor, heads: int = 4, loss: str = "dice-ce") -> None:
        classes = allowed.shape[1]
        if not torch.equal(allowed[:classes], torch.eye(classes, dtype=torch.bool)):
            raise ValueError("the first codes must be the classes themselves, one each; give sets of classes further codes.")
        self.allowed, self.heads, self.terms = allowed, heads, terms_named(loss)

    def __call__(self, outputs: Sequence[Tensor], codes: Tensor) -> Tensor:
        """The loss of logits (N, classes, K, J, I), ... against codes (N, K, J, I); coarser heads see every n-th voxel."""
        terms = []
        for level, logits in enumerate(outputs[: self.heads]):
            step = codes.shape[1] // logits.shape[2]
            here = codes if step == 1 else codes[:, step // 2 :: step, step // 2 :: step, step // 2 :: step]
            terms.append(self._single(logits, here) / 2**level)
        return sum(terms) / sum(0.5**level for level in range(len(terms)))

    def _single(self, logits: Tensor, codes: Tensor) -> Tensor:
        classes = logits.shape[1]
        log_probabilities = torch.log_softmax(logits.permute(0, 2, 3, 4, 1).reshape(-1, classes), 1)
        codes = codes.reshape(-1).long()
        voxels = self.terms.voxels(self._of_what_may_be(log_probabilities, codes))
        # Probability of each class summed over the voxels of each code.
        sums = torch.zeros(self.allowed.shape, dtype=logits.dtype, device=logits.device)
        sums = sums.index_add(0, codes, log_probabilities.exp())
        volumes = torch.bincount(codes, minlength=self.allowed.shape[0])[:classes].to(logits.dtype)
        decided = ~self.allowed.to(logits.device)
        decided[:classes] = True
        predicted = (sums * decided).sum(0)
        regions = self.terms.regions(sums[:classes].diagonal(), predicted, volumes)
        occurs = volumes > 0
        occurs[0] = False
        return voxels + 1 - regions[occurs].mean() if occurs.any() else voxels

    def _of_what_may_be(self, log_probabilities: Tensor, codes: Tensor) -> Tensor:
        """(voxels, classes) -> (voxels,): the logarithm of the probability of what each code allows."""
        classes = log_probabilities.shape[1]
        is_open = codes >= classes
        exact = log_probabilities.gather(1, codes.clamp(max=classes - 1)[:, None])[:, 0]
        if not is_open.any():
            return exact
        allowed = self.allowed.to(codes.device)[codes[is_open]]
        return exact.masked_scatter(is_open, log_probabilities[is_open].masked_fill(~allowed, -torch.inf).logsumexp(1))
