"""What a training minimizes: one file a loss, listed in `TERMS`; each is a term of voxels plus one of regions."""

from mednextseg.adapt.losses import cross_entropy, dice, focal, hard_voxels, tversky
from mednextseg.adapt.losses.terms import LossTerms
from mednextseg.json_values import one_of

TERMS: dict[str, LossTerms] = {
    "dice-ce": LossTerms(cross_entropy.voxels, dice.regions),
    "tversky": LossTerms(cross_entropy.voxels, tversky.USUAL),
    "tversky-published": LossTerms(cross_entropy.voxels, tversky.PUBLISHED),
    "focal": LossTerms(focal.voxels, dice.regions),
    "hard-voxels": LossTerms(hard_voxels.voxels, dice.regions),
    # Its third term needs features and belongs to the network: networks/plug_ins/misclassified.py.
    "misclassified": LossTerms(cross_entropy.voxels, dice.regions),
}


def terms_named(name: str) -> LossTerms:
    """The terms of a loss.

    Raises:
        ValueError: listing the losses there are.
    """
    return TERMS[one_of(name, "the loss", TERMS)]
