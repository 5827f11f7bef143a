"""Which windows a run looks at: the policy that a recipe asks for, in the voxels and channels of a model."""

from collections.abc import Collection

from mednextseg.json_values import shown
from mednextseg.models.families import NetworkConfig, number_of_axes, size_divisor
from mednextseg.models.learned_windows import LearnedWindows, installed_policy
from mednextseg.models.model_card import ModelCard
from mednextseg.models.policy_facts import KINDS
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.air import AirRule
from mednextseg.segment.windows.first_look import CoarsePolicy
from mednextseg.segment.windows.learned_policy import LearnedPolicy
from mednextseg.segment.windows.policy import FullPolicy, WindowPolicy
from mednextseg.segment.windows.window_features import feature_count


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
    Raises:
        ValueError: where the recipe asks for a learned policy, and none is installed for this model.
    """
    air = AirRule(air_below) if air_below is not None else None
    if recipe.budget == 1:
        return FullPolicy(air if recipe.window_policy in (None, "background") else None)
    learned = _learned(card, recipe, config)
    if learned is not None:
        return LearnedPolicy(learned, recipe.budget, air)
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


def _learned(card: ModelCard, recipe: SegmentRecipe, config: NetworkConfig) -> LearnedWindows | None:
    """The policy that is installed for the model, unless the recipe asks for another."""
    if recipe.window_policy not in (None, *KINDS):
        return None
    learned = installed_policy(card, recipe.window_policy)
    if learned is None and recipe.window_policy is not None:
        raise ValueError(
            f'the window_policy "{recipe.window_policy}" needs a policy that was trained for {card.id} with these weights, and none is '
            f"installed; train one by mednextseg adapt --policy {recipe.window_policy}, or leave window_policy out."
        )
    if learned is not None and learned.network.mean.numel() != feature_count(config.in_channels, card.patch_size_kji):
        raise ValueError(f"the window policy of {shown(card.id)} is for another number of channels; train it again.")
    return learned
