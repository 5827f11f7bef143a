"""What remains of a card's mirror images where a model is made from it that has other labels."""

from collections.abc import Collection

from mednextseg.models.model_card import ModelCard

SIDE_AXIS = 2  # of networks whose cards name sides: I runs from side to side


def mirroring_with(card: ModelCard, names: Collection[str]) -> dict[str, tuple]:
    """The fields `mirror_axes_kji` and `exchanged_sides` for a model of these labels.

    A label without its partner, or a new one whose side nobody knows, would be found on the wrong side of a mirror image: then none is
    mirrored along the axis that runs from side to side.
    """
    if not card.exchanged_sides:
        return {"mirror_axes_kji": tuple(card.mirror_axes_kji), "exchanged_sides": ()}
    known = {label.name for label in card.labels}
    pairs = tuple(pair for pair in card.exchanged_sides if set(pair) <= set(names))
    halves = {name for pair in card.exchanged_sides for name in pair} - {name for pair in pairs for name in pair}
    if halves.isdisjoint(names) and known.issuperset(names):
        return {"mirror_axes_kji": tuple(card.mirror_axes_kji), "exchanged_sides": pairs}
    return {"mirror_axes_kji": axes_without_sides(card), "exchanged_sides": ()}


def axes_without_sides(card: ModelCard) -> tuple[int, ...]:
    """The axes along which a mirror image has all labels in their places, as training with mirror images needs it."""
    return tuple(axis for axis in card.mirror_axes_kji if axis != SIDE_AXIS or not card.exchanged_sides)
