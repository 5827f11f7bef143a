"""A label's codes <-> Slicer's terminology entry.

An entry is context~category~type~typeModifier~regionContext~region~regionModifier, each code scheme^value^meaning (Slicer's
vtkSlicerTerminologiesModuleLogic::SerializeTerminologyEntry). Standard library only.
"""

from mednextseg.labels.label import Code, Label

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGION_CONTEXT = "Anatomic codes - DICOM master list"
_ROLES = ("category", "type", "type_modifier", "region", "region_modifier")


def terminology_entry(label: Label) -> str:
    """The serialized entry; empty where the label has no codes."""
    if not label.terminology:
        return ""
    category, type_, modifier, region, region_modifier = (
        "^".join(label.terminology.get(role, ("", "", ""))) for role in _ROLES
    )
    return "~".join((_CONTEXT, category, type_, modifier, _REGION_CONTEXT, region, region_modifier))


def label_from_entry(value: int, name: str, color: tuple[int, int, int], entry: str) -> Label:
    """A label whose codes are read from a serialized entry; parts that are missing or empty are left out."""
    parts = entry.split("~")
    codes = dict(zip(_ROLES, parts[1:4] + parts[5:7], strict=False))
    terminology: dict[str, Code] = {}
    for role, code in codes.items():
        if code.strip("^") and code.count("^") == 2:
            scheme, identifier, meaning = code.split("^")
            terminology[role] = (scheme, identifier, meaning)
    return Label(value, name, color, terminology)
