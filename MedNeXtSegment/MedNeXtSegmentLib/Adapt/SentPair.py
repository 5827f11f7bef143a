"""Two volumes of one patient, as the worker's operation "adapt" wants a pair of images."""

from collections.abc import Sequence

import numpy as np
from slicer.i18n import tr as _

from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.Scene.Volumes import channelsOf


def sentPairs(pairs: Sequence[tuple], card: ModelCard) -> tuple[list[str], dict]:
    """Describe pairs.

    Args:
        pairs: (known, new), each a volume node or a list of one for each channel.
        card: of the model that knows the one kind of image.
    Returns:
        Their names, those of the new images, and the parameters of the request.
    Raises:
        ValueError: for fewer than two pairs, and for volumes that do not suit the model.
    """
    if len(pairs) < 2:
        raise ValueError(_("Give two pairs at the least, better five: one alone cannot be learned from and tested on."))
    described: list[dict] = []
    arrays: dict[str, np.ndarray] = {}
    for number, images in enumerate(pairs):
        pair: dict = {}
        for kind, image in zip(("known", "new"), images, strict=True):
            nodes = list(image) if isinstance(image, list | tuple) else [image]
            channels = channelsOf(nodes, card)
            pair["name"] = nodes[0].GetName()
            pair[kind] = [geometry.ijk_to_ras.tolist() for _array, geometry in channels]
            arrays.update({f"{kind}_{number}_{n}": array_kji for n, (array_kji, _geometry) in enumerate(channels)})
        described.append(pair)
    return [pair["name"] for pair in described], {"image_pairs": described, **arrays}
