"""What the status line of the refinement tools says before a click."""

from slicer.i18n import tr as _

SECOND_CORNER = "second corner"  # of a box: what is asked for after the first


def toolHints() -> dict[str, str]:
    """The name of a tool's button in RefineTools.ui, SECOND_CORNER, or "" for no tool -> what to do next."""
    return {
        "": "",
        "pointPlusButton": _("Click in a slice view."),
        "pointMinusButton": _("Click in a slice view."),
        "scribblePlusButton": _("Draw along the object in a slice view."),
        "scribbleMinusButton": _("Draw beside the object in a slice view."),
        "lassoPlusButton": _("Draw around what belongs to the object in a slice view."),
        "lassoMinusButton": _("Draw around what does not belong to the object in a slice view."),
        "boxButton": _("Click two opposite corners of the box in a slice view."),
        SECOND_CORNER: _("Click the opposite corner."),
        "autoPromptButton": _("Click in a slice view: the segment's own slice there becomes prompts."),
        "eraseButton": _("Click near the prompt that shall go."),
    }
