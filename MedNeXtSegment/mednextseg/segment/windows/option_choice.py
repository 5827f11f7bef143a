"""Which option each window gets within a budget: the least expected loss, with one price of computing for the whole volume."""

import numpy as np

# An option that more likely than not falls short to nothing at all is none, whatever the budget.
_CERTAIN = 0.5


def chosen_options(falls_short: np.ndarray, costs: np.ndarray, budget: float, may_be_empty: bool) -> np.ndarray:
    """Number of the option for each window.

    Every window takes the option with the least `falls_short + price * cost`. The price is the lowest at which all windows together stay
    within the budget, so that windows are compared with each other; a lower budget has a higher price, and no window gets a dearer
    option for a higher price.

    Args:
        falls_short: (windows, options), probabilities that an option is not good enough, falling.
        costs: (options,), rising.
        budget: share of what the last option for all windows would cost.
        may_be_empty: the first option gives no answer at all (a skipped window). It is not taken where it would more likely than not be
            wrong; then the budget is exceeded, if need be.
    Returns:
        int (windows,); all the last option at a budget of 1.
    """
    if budget >= 1:
        return np.full(len(falls_short), len(costs) - 1)
    shares = costs / costs[-1]
    least = (falls_short[:, 0] >= _CERTAIN).astype(int) if may_be_empty else np.zeros(len(falls_short), dtype=int)

    def at(price: float) -> np.ndarray:
        return np.maximum(np.argmin(falls_short + price * shares, axis=1), least)

    prices = np.concatenate([[0.0], _prices(falls_short, shares)])
    low, high = 0, len(prices) - 1
    while low < high:
        middle = (low + high) // 2
        if shares[at(prices[middle])].mean() <= budget:
            high = middle
        else:
            low = middle + 1
    return at(prices[low])


def _prices(falls_short: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Those at which some window changes its option, each a trifle higher, so that the cheaper one is taken; rising."""
    pairs = [(cheap, dear) for dear in range(len(shares)) for cheap in range(dear) if shares[dear] > shares[cheap]]
    changes = [(falls_short[:, cheap] - falls_short[:, dear]) / (shares[dear] - shares[cheap]) for cheap, dear in pairs]
    return np.unique(np.concatenate([*changes, [0.0]])) * (1 + 1e-9) + 1e-12
