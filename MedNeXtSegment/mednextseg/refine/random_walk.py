"""The random walker of Grady (TPAMI 2006) on grids of any number of axes. numpy and scipy only.

Seeds say what is object and what is not; a random walk from each pixel that avoids strong edges ends at an object seed with the wanted
probability. A weak opinion about pixels enters as Grady's prior (CVPR 2005).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg


@dataclass(frozen=True)
class Edges:
    """How hard it is to walk from a pixel to its neighbor: exp(-beta * difference^2) + floor, over the square of their distance.

    Attributes:
        beta, floor: as above.
        spacing: distance of neighbors along each axis, the least of them 1; None for 1 everywhere.
    """

    beta: float = 600.0  # for intensities in [0, 1]
    floor: float = 1e-5
    spacing: tuple[float, ...] | None = None


def random_walk(
    image: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    prior: np.ndarray | None = None,
    prior_weight: np.ndarray | None = None,
    edges: Edges | None = None,
) -> np.ndarray:
    """Probability that a random walker from each pixel first reaches a foreground seed.

    Solves (L + W) x = W p on the pixels without a seed, L the Laplacian of the grid of nearest neighbors and W the weights of the prior
    p, by conjugate gradients with Jacobi's preconditioner.

    Args:
        image: float, of any shape.
        foreground, background: bool, of that shape.
        prior, prior_weight: float, of that shape: a weak opinion and its weight, against the unit weight of a flat edge.
        edges: see Edges; None for the defaults.
    Returns:
        float32 in [0, 1], of that shape.
    """
    laplacian = _laplacian(image, edges or Edges())
    seeded = (foreground | background).ravel()
    known = foreground.ravel()[seeded].astype(float)
    free = np.flatnonzero(~seeded)
    rows = laplacian[free]
    system, right = rows[:, free], -rows[:, np.flatnonzero(seeded)] @ known
    if prior is not None and prior_weight is not None:
        weight = prior_weight.ravel()[free]
        system, right = system + diags(weight), right + weight * prior.ravel()[free]
    inverse_diagonal = 1.0 / system.diagonal()
    jacobi = LinearOperator(system.shape, matvec=lambda x: inverse_diagonal * x.ravel(), dtype=float)
    start = np.full(len(free), 0.0) if prior is None else prior.ravel()[free].astype(float)
    solution, _ = cg(system, right, x0=start, rtol=1e-3, maxiter=400, M=jacobi)
    result = np.zeros(image.size, np.float32)
    result[seeded], result[free] = known, np.clip(solution, 0.0, 1.0)
    return result.reshape(image.shape)


def _laplacian(image: np.ndarray, edges: Edges) -> csr_matrix:
    index = np.arange(image.size).reshape(image.shape)
    pairs = [
        (index.take(range(length - 1), axis).ravel(), index.take(range(1, length), axis).ravel())
        for axis, length in reversed(list(enumerate(image.shape)))
    ]
    steps = edges.spacing or (1.0,) * image.ndim
    distances = np.repeat(steps[::-1], [len(starts) for starts, _ends in pairs])
    starts, ends = (np.concatenate(part) for part in zip(*pairs, strict=True))
    flat = image.ravel()
    weights = (np.exp(-edges.beta * (flat[starts] - flat[ends]) ** 2) + edges.floor) / distances**2
    both = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    adjacency = coo_matrix((np.concatenate([weights, weights]), both), shape=(index.size, index.size)).tocsr()
    return (diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency).tocsr()
