"""A label <-> its item in a DICOM segmentation: name, codes, color, and the algorithm that found it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mednextseg.json_values import shown
from mednextseg.labels.label import Label

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

# What DICOM allows in one line of text and in a code's meaning.
_LONGEST = 64
_GRAY = (128, 128, 128)
# Every segment needs a category and a type; this pair is what Slicer takes for "not said".
_UNSAID = ("SCT", "85756007", "Tissue")


@dataclass(frozen=True)
class Algorithm:
    """What found the segments: id and version of the model, and more as names and values (hash of its weights, run)."""

    name: str
    version: str
    parameters: dict[str, str]


def check_name(label: Label) -> None:
    """Make sure that DICOM can hold a label's name.

    Raises:
        ValueError: for a name that is empty, too long, or has characters that mean something else there.
    """
    name = label.name
    if not name.strip() or name != name.strip() or len(name) > _LONGEST or "\\" in name or not name.isprintable():
        raise ValueError(
            f"the label {shown(name)} cannot be written to DICOM, which takes names of 1 to {_LONGEST} characters without backslashes; "
            "rename it on the model card, or choose an output that ends in .seg.nrrd."
        )


def item_of(number: int, label: Label, algorithm: Algorithm) -> "SegmentDescription":
    """The item of a label as segment `number`."""
    from highdicom import AlgorithmIdentificationSequence  # noqa: PLC0415
    from highdicom.color import CIELabColor  # noqa: PLC0415
    from highdicom.seg import SegmentDescription  # noqa: PLC0415
    from highdicom.sr import CodedConcept  # noqa: PLC0415
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    def coded(role: str) -> CodedConcept | None:
        scheme, value, meaning = label.terminology.get(role, ("", "", ""))
        return CodedConcept(value, scheme, (meaning or value)[:_LONGEST]) if scheme and value else None

    unsaid = CodedConcept(_UNSAID[1], _UNSAID[0], _UNSAID[2])
    region = coded("region")
    identification = AlgorithmIdentificationSequence(
        algorithm.name[:_LONGEST],
        codes.cid7162.ArtificialIntelligence,
        algorithm.version[:_LONGEST],
        parameters=algorithm.parameters,
    )
    item = SegmentDescription(
        number,
        label.name,
        coded("category") or unsaid,
        coded("type") or unsaid,
        "AUTOMATIC",
        identification,
        anatomic_regions=None if region is None else [region],
        display_color=CIELabColor.from_rgb(*label.color),
    )
    if modifier := coded("type_modifier"):
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    if region is not None and (modifier := coded("region_modifier")):
        item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [modifier]
    return item


def label_of(item: "Dataset") -> Label:
    """The label that an item describes; its value is the segment's number."""
    number = int(item.SegmentNumber)
    category, type_ = (_first(item, f"SegmentedProperty{part}CodeSequence") for part in ("Category", "Type"))
    region = _first(item, "AnatomicRegionSequence")
    found = {
        "category": _code(category),
        "type": _code(type_),
        "type_modifier": _code(_first(type_, "SegmentedPropertyTypeModifierCodeSequence")),
        "region": _code(region),
        "region_modifier": _code(_first(region, "AnatomicRegionModifierSequence")),
    }
    if all(code is None or code[:2] == _UNSAID[:2] for code in (found["category"], found["type"])):
        found["category"] = found["type"] = None
    name = next((str(item[key].value).strip() for key in ("SegmentLabel", "SegmentDescription") if item.get(key)), "")
    terminology = {role: code for role, code in found.items() if code is not None}
    return Label(number, name or f"Segment_{number}", _color(item), terminology)


def _first(item: "Dataset | None", keyword: str) -> "Dataset | None":
    items = item.get(keyword) if item is not None else None
    return items[0] if items else None


def _code(item: "Dataset | None") -> tuple[str, str, str] | None:
    if item is None:
        return None
    value = next((item.get(key) for key in ("CodeValue", "LongCodeValue", "URNCodeValue") if item.get(key)), None)
    return (
        None if value is None else (str(item.get("CodingSchemeDesignator", "")), str(value), str(item.get("CodeMeaning", "")))
    )


def _color(item: "Dataset") -> tuple[int, int, int]:
    from highdicom.color import CIELabColor  # noqa: PLC0415

    try:
        red, green, blue = CIELabColor.from_dicom_value(tuple(int(n) for n in item.RecommendedDisplayCIELabValue)).to_rgb()
    except (AttributeError, TypeError, ValueError):
        return _GRAY
    return int(red), int(green), int(blue)
