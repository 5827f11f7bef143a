"""Names, colors and modalities for cards of models that come without them."""

import re

from mednextseg.labels.codes import coded_label

# Names under which nnU-Net data sets list their channels.
_MR_NAME = re.compile(r"^(mri?|t1|t2|t1c|t1ce|t1gd|t1w|t2w|flair|pd|adc|dwi|dce|lge|cine|swi|bold)([^a-z]|$)", re.IGNORECASE)
_MEDNEXT_TRAINER = re.compile(r"mednext[_]?([SBML])_?kernel(\d)", re.IGNORECASE)


def slug(*names: str) -> str:
    """A card id from names: lower case, digits and dashes; MedNeXt trainers shortened to mednext-s-k3."""
    parts = []
    for name in names:
        match = _MEDNEXT_TRAINER.search(name)
        parts.append(f"mednext-{match[1]}-k{match[2]}" if match else name)
    return re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in parts if part).lower()).strip("-") or "imported-model"


def channel_fields(name: str, normalization: dict) -> dict:
    """A channel as a card has it; the modality is read off its name where the name says it."""
    if normalization["scheme"] == "ct" or name.upper() == "CT":
        modality = "CT"
    else:
        modality = "MR" if _MR_NAME.match(name) else "other"
    return {"name": name, "modality": modality, "normalization": normalization}


def label_fields(value: int, name: str) -> dict:
    """A label as a card has it, with color and codes where its name is known."""
    label = coded_label(value, name)
    return {"value": value, "name": name, "color": list(label.color), "terminology": label.terminology}
