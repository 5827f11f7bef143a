"""Contrast at misclassified voxels (PNE): their features are drawn to their own class, and away from the one they were taken for.

Paper: Wang et al., "Positive-Negative Equal Contrastive Loss for Semantic Segmentation", 2022 (arXiv:2207.01417). The code is our own.
For each pair (class predicted, class drawn) in an image, with anchors the voxels so confused, positives the voxels of the drawn class
that were found, and negatives those of the predicted class that were:

    s = exp(cosine of the embeddings), for positives times their probability
    loss = 1.3 * mean over pairs and anchors of log(1 + mean s(negatives) / mean s(positives))

What differs, on purpose: a mean takes the place of the factor that grows with the number of misclassified voxels; at most 100 voxels of
each kind are taken, spread evenly over the image instead of from its beginning, and also where more than 199 are wrong; voxels are
embedded after they were chosen, so that a whole volume of embeddings never exists.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mednextseg.networks.plug_ins.plug_in import PlugIn, Sites

_WEIGHT, _EMBEDDING, _MOST = 1.3, 256, 100
_STAGE = "dec_block_0"


class Misclassified(PlugIn):
    """Serves training alone: a projection of the last decoder stage, and its loss."""

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        width = sites.widths[0]
        self.embed = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, _EMBEDDING))
        self._features: list[Tensor] = []

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        if stage == _STAGE and self.training:
            self._features.append(x)
        return x

    def extra_loss(self, logits: Tensor, codes: Tensor) -> Tensor | None:
        features, self._features = torch.cat(self._features), []
        terms = [self._of_image(*sample) for sample in zip(features.to(logits.dtype), logits, codes, strict=True)]
        terms = [term for term in terms if term is not None]
        return _WEIGHT * sum(terms) / len(codes) if terms else None

    def _of_image(self, features: Tensor, logits: Tensor, codes: Tensor) -> Tensor | None:
        """Of features (C, K, J, I), logits (classes, K, J, I) and codes (K, J, I); None where no pair is confused."""
        classes = logits.shape[0]
        probability, predicted = logits.detach().softmax(0).flatten(1).max(0)
        drawn = codes.flatten()
        wrong = (predicted != drawn) & (drawn < classes)
        by_voxel, terms = features.flatten(1).t(), []
        for pair in torch.unique(predicted[wrong] * classes + drawn[wrong]).tolist():
            taken_for, is_in_truth = divmod(pair, classes)
            anchors = _spread((predicted == taken_for) & (drawn == is_in_truth))
            positives = _spread((predicted == is_in_truth) & (drawn == is_in_truth))
            negatives = _spread((predicted == taken_for) & (drawn == taken_for))
            if len(positives):
                negatives = negatives if len(negatives) else anchors
                terms.append(self._contrast(by_voxel, anchors, positives, negatives, probability[positives]))
        return sum(terms) / len(terms) if terms else None

    def _contrast(self, features: Tensor, anchors: Tensor, positives: Tensor, negatives: Tensor, surety: Tensor) -> Tensor:
        anchor = self.embed(features[anchors])
        anchor = anchor / anchor.detach().norm(dim=1, keepdim=True).clamp_min(1e-6)
        with torch.no_grad():
            positive, negative = (nn.functional.normalize(self.embed(features[v]), dim=1) for v in (positives, negatives))
        near = ((anchor @ positive.t()).exp() * surety).mean(1)
        far = (anchor @ negative.t()).exp().mean(1)
        return torch.log1p(far / near).mean()


def _spread(mask: Tensor) -> Tensor:
    """Indices of at most so many voxels of a mask, evenly spread: no chance in it, so that a resumed training goes on alike."""
    found = mask.nonzero()[:, 0]
    return found if len(found) <= _MOST else found[torch.linspace(0, len(found) - 1, _MOST, device=found.device).long()]
