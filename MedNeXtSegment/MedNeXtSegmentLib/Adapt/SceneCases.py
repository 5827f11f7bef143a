"""Which pairs of volume and segmentation a model is to learn: kept with the panel's parameters in the scene, so that both are saved."""

_ROLES = "adaptVolume", "adaptSegmentation"


def sceneCases(parameterNode) -> list[tuple]:
    """(volume node, segmentation node) of each case whose nodes are both there."""
    node = parameterNode.parameterNode
    pairs = [tuple(node.GetNodeReference(f"{role}{n}") for role in _ROLES) for n in range(parameterNode.adaptCaseCount)]
    return [pair for pair in pairs if None not in pair]


def setSceneCases(parameterNode, cases: list[tuple]) -> None:
    """Keep these cases instead. Each has roles of its own: in a list under one role, others move up when a node is removed."""
    node = parameterNode.parameterNode
    wasModifying = node.StartModify()
    for n in range(max(len(cases), parameterNode.adaptCaseCount)):
        for index, role in enumerate(_ROLES):
            node.SetNodeReferenceID(f"{role}{n}", cases[n][index].GetID() if n < len(cases) else None)
    parameterNode.adaptCaseCount = len(cases)
    node.EndModify(wasModifying)
