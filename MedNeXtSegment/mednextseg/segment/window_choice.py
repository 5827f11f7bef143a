"""Which windows a run looks at: the policy that a recipe asks for, in the voxels and channels of a model."""

from collections.abc import Collection

from mednextseg.models.families import NetworkConfig, number_of_axes, size_divisor
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.first_look import CoarsePolicy
from mednextseg.segment.windows.policy import FullPolicy, WindowPolicy


def policy_for(
    card: ModelCard,
    recipe: SegmentRecipe,
    config: NetworkConfig,
    spacing_kji_mm: tuple[float, float, float],
    labels: Collection[str] = (),
    air_below: tuple[float, ...] | None = None,
) -> WindowPolicy:
    """The policy of a run.

    Args:
        card: of the network.
        recipe: what is asked for.
        config: of the network.
        spacing_kji_mm: of the grid that it looks at.
        labels: names of those that are wanted; where the network has none of them, all of its own are.
        air_below: of each channel, as the network sees it; None where nobody says what air is.
    """
    air = AirRule(air_below) if air_below is not None else None
    if recipe.budget == 1:
        return FullPolicy(air if recipe.window_policy in (None, "background") else None)
    first = 1 if card.activation == "softmax" else 0
    channels = [number for number, label in enumerate(card.labels, start=first) if label.name in labels]
    return CoarsePolicy(
        budget=recipe.budget,
        margin_kji=tuple(round(recipe.margin_mm / mm) for mm in spacing_kji_mm),
        wanted=tuple(channels or range(first, first + len(card.labels))),
        threshold=None if card.activation == "softmax" else 0.5 if card.average == "probabilities" else 0.0,
        divisor_kji=(1,) * (3 - number_of_axes(config)) + tuple(size_divisor(config)),
        air=air,
    )
