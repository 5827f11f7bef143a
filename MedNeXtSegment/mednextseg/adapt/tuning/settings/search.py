"""A search over grids of settings by random steps around the present ones, each judged by its reward.

Recast from: Yang et al., "Searching Learning Strategy with Reinforcement Learning for 3D Medical Image Segmentation", MICCAI 2019: what was
a search for a training's hyperparameters there is one for the few settings that can be changed after it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

Settings = dict[str, Hashable]

_ROUNDS, _DRAWS = 12, 8


def search(
    grids: Mapping[str, Sequence[Hashable]], start: Settings, reward: Callable[[Settings], float], seed: int = 0
) -> tuple[Settings, float]:
    """The best settings that were tried, the start among them, and their reward; the start where nothing is better.

    Each round draws steps of one to either side, or none, for every setting; then each setting moves to the side whose draws were better
    in the mean. After a round in which nothing new was best, steps are longer by one and begin at the best so far, since settings often
    change nothing until they change much. Rewards are asked for once a combination.

    Args:
        grids: name -> values in their order.
        start: one value of each grid.
        reward: higher is better.
        seed: of the draws.
    """
    draw, names = np.random.default_rng(seed), list(grids)
    known: dict[tuple[int, ...], float] = {}

    def rewarded(place: np.ndarray) -> float:
        key = tuple(place.tolist())
        if key not in known:
            known[key] = reward({name: grids[name][at] for name, at in zip(names, key, strict=True)})
        return known[key]

    last = np.array([len(grids[name]) - 1 for name in names])
    place = np.array([list(grids[name]).index(start[name]) for name in names])
    first = tuple(place.tolist())
    best_reward, reach = rewarded(place), 1
    for _ in range(_ROUNDS):
        tried = np.clip(place + reach * draw.integers(-1, 2, (_DRAWS, len(names))), 0, last)
        rewards = np.array([rewarded(at) for at in tried])
        for number, at in enumerate(place):
            sides = {side: rewards[tried[:, number] == side].mean() for side in np.unique(tried[:, number])}
            best_side = max(sides, key=lambda side: sides[side])
            if sides[best_side] > sides.get(at, -np.inf):
                place[number] = best_side
        if max(known.values()) > best_reward:
            best_reward, reach = max(known.values()), 1
        else:
            place, reach = np.array(max(known, key=lambda key: known[key])), reach % max(1, last.max()) + 1
    best = max(known, key=lambda key: (known[key], key == first))
    return {name: grids[name][at] for name, at in zip(names, best, strict=True)}, known[best]
