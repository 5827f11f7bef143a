"""Names of a network's tensors: those it expects, and second names of one tensor."""

from collections.abc import Mapping

from torch import Tensor, nn


def second_names(network: nn.Module) -> dict[str, str]:
    """Name -> first name, for tensors that a network has under several."""
    first: dict[int, str] = {}
    return {
        name: first[id(tensor)]
        for name, tensor in network.state_dict(keep_vars=True).items()
        if first.setdefault(id(tensor), name) != name
    }


def own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor once, under its first name."""
    others = second_names(network)
    return {name: tensor for name, tensor in network.state_dict().items() if name not in others}


def check_tensors(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], network: str) -> None:
    """Compare names and shapes.

    Raises:
        ValueError: naming the first tensors that are missing, unexpected or of another shape.
    """
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not expected" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ValueError(f"the weights do not fit the {network}: {'; '.join(problems[:3])}{more}.")
