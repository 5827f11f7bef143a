"""What of the scene a model is to learn: kept with the panel's parameters in the scene, so that both are saved.

Cases are pairs of volume and segmentation; pairs of images are a volume as the model knows it and the same anatomy by another scanner.
"""

from collections.abc import Sequence

_CASE, _CASE_COUNT = ("adaptVolume", "adaptSegmentation"), "adaptCaseCount"
_IMAGES, _IMAGES_COUNT = ("adaptKnownVolume", "adaptNewVolume"), "adaptPairCount"


def sceneCases(parameterNode) -> list[tuple]:
    """(volume node, segmentation node) of each case whose nodes are both there."""
    return _kept(parameterNode, _CASE, _CASE_COUNT)


def setSceneCases(parameterNode, cases: Sequence[tuple]) -> None:
    """Keep these cases instead."""
    _keep(parameterNode, cases, _CASE, _CASE_COUNT)


def scenePairs(parameterNode) -> list[tuple]:
    """(known volume node, new volume node) of each pair of images whose nodes are both there."""
    return _kept(parameterNode, _IMAGES, _IMAGES_COUNT)


def setScenePairs(parameterNode, pairs: Sequence[tuple]) -> None:
    """Keep these pairs of images instead."""
    _keep(parameterNode, pairs, _IMAGES, _IMAGES_COUNT)


def _kept(parameterNode, roles: tuple[str, str], count: str) -> list[tuple]:
    node = parameterNode.parameterNode
    pairs = [tuple(node.GetNodeReference(f"{role}{n}") for role in roles) for n in range(getattr(parameterNode, count))]
    return [pair for pair in pairs if None not in pair]


def _keep(parameterNode, pairs: Sequence[tuple], roles: tuple[str, str], count: str) -> None:
    """Each has roles of its own: in a list under one role, others move up when a node is removed."""
    node = parameterNode.parameterNode
    wasModifying = node.StartModify()
    for n in range(max(len(pairs), getattr(parameterNode, count))):
        for index, role in enumerate(roles):
            node.SetNodeReferenceID(f"{role}{n}", pairs[n][index].GetID() if n < len(pairs) else None)
    setattr(parameterNode, count, len(pairs))
    node.EndModify(wasModifying)
