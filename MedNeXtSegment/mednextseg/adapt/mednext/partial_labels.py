"""Loss for labels that leave open what a voxel is: a structure that nobody drew must not be learned as background.

A labelmap holds codes. A code below the number of classes is that class; a further code stands for a set of classes, any of which the
voxel may be. Cross-entropy asks for the probability of the set; Dice leaves a voxel out for the classes that its set contains.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


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
    """Cross-entropy plus Dice over the foreground classes that occur, summed over deep supervision heads with weights 1, 1/2, 1/4, ...

    Args:
        allowed: (codes, classes) bool; the first rows are the identity.
        heads: how many outputs take part, full size first.
    """

    def __init__(self, allowed: Tensor, heads: int = 4) -> None:
        classes = allowed.shape[1]
        if not torch.equal(allowed[:classes], torch.eye(classes, dtype=torch.bool)):
            raise ValueError("the first codes must be the classes themselves, one each; give sets of classes further codes.")
        self.allowed, self.heads = allowed, heads

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
        cross_entropy = self._cross_entropy(log_probabilities, codes)
        # Probability of each class summed over the voxels of each code.
        sums = torch.zeros(self.allowed.shape, dtype=logits.dtype, device=logits.device)
        sums = sums.index_add(0, codes, log_probabilities.exp())
        volumes = torch.bincount(codes, minlength=self.allowed.shape[0])[:classes].to(logits.dtype)
        decided = ~self.allowed.to(logits.device)
        decided[:classes] = True
        predicted = (sums * decided).sum(0)
        dice = (2 * sums[:classes].diagonal() + 1) / (predicted + volumes + 1)
        occurs = volumes > 0
        occurs[0] = False
        return cross_entropy + 1 - dice[occurs].mean() if occurs.any() else cross_entropy

    def _cross_entropy(self, log_probabilities: Tensor, codes: Tensor) -> Tensor:
        classes = log_probabilities.shape[1]
        is_open = codes >= classes
        exact = log_probabilities.gather(1, codes.clamp(max=classes - 1)[:, None])[:, 0]
        total = exact.masked_fill(is_open, 0).sum()
        if is_open.any():
            allowed = self.allowed.to(codes.device)[codes[is_open]]
            total = total + log_probabilities[is_open].masked_fill(~allowed, -torch.inf).logsumexp(1).sum()
        return -total / codes.numel()
