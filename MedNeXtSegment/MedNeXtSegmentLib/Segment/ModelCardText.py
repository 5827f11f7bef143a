"""A model card as the text that the panel shows."""

from html import escape

from slicer.i18n import tr as _

from mednextseg.labels.finding import body_part_of, body_parts, words_for
from mednextseg.models.model_card import ModelCard

_LABELS_SHOWN = 12


def modelSubtitle(card: ModelCard) -> str:
    """One line for the list: modality and what is segmented."""
    modalities = "+".join(dict.fromkeys(channel.modality for channel in card.channels))
    names = ", ".join(label.name for label in card.labels[:3])
    more = _(" and {count} more").format(count=len(card.labels) - 3) if len(card.labels) > 3 else ""
    return f"{modalities}: {names}{more}"


def bodyPartOf(card: ModelCard) -> str:
    """As the card says, else as its labels do; empty where neither is known."""
    return card.body_part or body_part_of([label.name for label in card.labels])


def groupedByBodyPart(cards: list[ModelCard]) -> list[tuple[str, list[ModelCard]]]:
    """Headings and the cards under them: parts from head to limbs, then others by name, and last what lies nowhere known."""
    groups: dict[str, list[ModelCard]] = {}
    for card in cards:
        groups.setdefault(bodyPartOf(card).lower(), []).append(card)
    known = [part for part in body_parts() if part in groups]
    others = sorted(part for part in groups if part and part not in known)
    named = [(part.capitalize(), groups[part]) for part in (*known, *others)]
    return [*named, (_("Other"), groups[""])] if "" in groups else named


def matchesSearch(card: ModelCard, text: str) -> bool:
    """Whether every word of the text occurs in the card: title, description, id, channels, body part, segments or other words for them."""
    words = [card.id, card.title, card.description]
    words += [f"{channel.name} {channel.modality}" for channel in card.channels]
    words += [label.name for label in card.labels] + [word for label in card.labels for word in words_for(label.name)]
    words.append(bodyPartOf(card))
    haystack = " ".join(words).lower()
    return all(word in haystack for word in text.lower().split())


def modelCardHtml(card: ModelCard) -> str:
    """What a user wants to know before choosing a model; nothing is shown that the card does not say."""
    rows = [
        (_("Input"), ", ".join(f"{channel.name} ({channel.modality})" for channel in card.channels)),
        (_("Segments"), _labelList(card)),
        (_("Body part"), bodyPartOf(card)),
        (_("Voxels"), _spacing(card)),
        (_("Region"), card.roi_hint),
        (_("Finds it by"), _regionSource(card)),
        (_("Networks"), str(len(card.weights_sha256)) if len(card.weights_sha256) > 1 else ""),
        (_("Measured"), "<br>".join(escape(metricSentence(metric)) for metric in card.metrics)),
        (_("Trained on"), "<br>".join(escape(_named(source)) for source in card.training_data)),
        (_("License"), card.weights_license),
        (_("Citation"), card.citation),
        (_("Version"), f"{card.version} ({card.id})"),
    ]
    escaped = {_("Measured"), _("Trained on")}
    table = "".join(
        f'<tr><td valign="top"><b>{escape(name)}</b>&nbsp;&nbsp;</td><td>{text if name in escaped else escape(text)}</td></tr>'
        for name, text in rows
        if text
    )
    description = f"<p>{escape(card.description)}</p>" if card.description else ""
    return f"{description}<table>{table}</table>"


def metricSentence(metric: dict) -> str:
    """One measured figure with its data, such as "Dice 0.89 (anterior 0.90, posterior 0.88), 52 validation cases"."""
    parts = []
    for key, value in metric.items():
        if isinstance(value, dict):
            parts.append(f"{_word(key)}: " + ", ".join(f"{name} {_number(number)}" for name, number in value.items()))
        elif isinstance(value, (list, tuple)):
            parts.append(f"{_word(key)}: {len(value)}" if len(value) > 3 else f"{_word(key)}: {', '.join(map(str, value))}")
        else:
            parts.append(f"{_word(key)} {_number(value)}")
    return "; ".join(parts)


def _labelList(card: ModelCard) -> str:
    names = [label.name for label in card.labels]
    if len(names) <= _LABELS_SHOWN:
        return ", ".join(names)
    return _("{count}: {names} ...").format(count=len(names), names=", ".join(names[:_LABELS_SHOWN]))


def _regionSource(card: ModelCard) -> str:
    if card.region_from is None:
        return ""
    return f"{card.region_from.model} ({', '.join(card.region_from.labels)})"


def _spacing(card: ModelCard) -> str:
    if card.spacing_kji_mm is None:
        return _("as in the volume")
    return " x ".join(f"{spacing:g}" for spacing in card.spacing_kji_mm[::-1]) + " mm"


def _named(source: dict) -> str:
    return ", ".join(str(value) for value in source.values() if not isinstance(value, (list, tuple, dict)))


def _word(key: str) -> str:
    return key.replace("_", " ")


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
