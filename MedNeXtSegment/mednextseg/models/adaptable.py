"""Which models a few cases can be taught to, and what they learned: told by the card alone, before any weights are read."""

from mednextseg.models.model_card import ModelCard

SHAPE_PRIORS = "shape_priors"


def why_not_adapted(card: ModelCard) -> str:
    """Why a model cannot be adapted, in one sentence; empty where it can."""
    problem = None
    if card.task != "segment":
        problem = "does not segment volumes"
    elif card.parts or len(card.weights_sha256) > 1 or card.previous_labels:
        problem = "consists of several networks"
    elif card.slice_by_slice:
        problem = "works slice by slice"
    elif card.activation != "softmax":
        problem = "has labels that may overlap"
    elif card.family == "monai":
        problem = "is a network of MONAI, whose labels cannot be changed,"
    return f"the model {card.id} {problem} and cannot be adapted; choose one network of volumes." if problem else ""


def has_shape_priors(card: ModelCard) -> bool:
    """Whether a model has learned where its structures lie, as volumes that can be looked at."""
    return any(
        isinstance(plug_in, dict) and plug_in.get("kind") == SHAPE_PRIORS for plug_in in card.architecture.get("plug_ins", ())
    )
