"""The decision network learns from pairs, all of them at once: seconds, so that it need not be resumed."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy, smooth_l1_loss

from mednextseg.adapt.window_policy.window_pairs import WindowPairs
from mednextseg.adapt.window_policy.window_scores import cheapest_good_enough
from mednextseg.networks.window_decision import WindowDecision

_STEPS = 300


def train_decision(pairs: WindowPairs, has_position: bool, epsilon: float, seed: int) -> WindowDecision:
    """Train from scratch; the same pairs and seed give the same network.

    Args:
        pairs: of all volumes to learn from.
        has_position: whether windows can be cropped; positions are learned from windows that have one.
        epsilon: what an answer may be worse than the best one and still be good enough.
        seed: of the first weights.
    """
    features = pairs.features
    labels = torch.from_numpy(cheapest_good_enough(pairs.scores, epsilon))
    is_placed = torch.from_numpy(~np.isnan(pairs.positions).any(axis=1))
    places = torch.from_numpy(pairs.positions).float()[is_placed]
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        network = WindowDecision(features.shape[1], pairs.scores.shape[1], has_position)
        network.mean.copy_(features.mean(dim=0))
        network.scale.copy_(features.std(dim=0).clamp_min(1e-3))
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.1)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            loss = cross_entropy(network.logits(features), labels)
            if has_position and len(places):
                loss = loss + smooth_l1_loss(network.positions(features[is_placed]), places)
            loss.backward()
            optimizer.step()
    return network.eval()
