"""What the refinement tools say of a session: who answers, what the preview is, how far a repair is."""

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from mednextseg.refine.prompter import PrompterInfo
from MedNeXtSegmentLib.Refine.SlicePlanes import directionNames

if TYPE_CHECKING:
    from MedNeXtSegmentLib.Refine.RefineSession import RefineSession


def answeredBy(info: PrompterInfo) -> str:
    """Which network answers, and what it costs."""
    if info.name == "random_walker":
        return _("Clicks are answered by the random walker, which needs no weights.")
    text = _("Clicks are answered by {name} on {device}.").format(name=info.name, device=info.device)
    if info.memory_bytes:
        text += " " + _("It takes {megabytes:.0f} MB of memory.").format(megabytes=info.memory_bytes / 1e6)
    if info.needs_encode:
        text += " " + _("The first prompt on a slice takes longer: the slice is encoded.")
    return text


def previewText(session: "RefineSession") -> str:
    """What the preview is, how sure its slices are, and why it ended; empty where there is none."""
    if session.preview() is None:
        return ""
    ahead, back = session.propagationEnded
    text = _("Preview in yellow: Accept writes it, Undo drops it.")
    if session.removedByPreview().any():
        text = _("Preview, in red what goes: Accept writes it, Undo drops it.")
    confidences = [confidence for _center, confidence in session.previewSlices()]
    if confidences:
        counted = _("{count} slices, confidence {least:.2f} to {most:.2f}.")
        text += " " + counted.format(count=len(confidences), least=min(confidences), most=max(confidences))
    if ahead or back:
        towards = directionNames(session.activePlane)
        ends = _("Why it ended, {first}: {why1}; {second}: {why2}.")
        why = [reason or _("up to a corrected slice") for reason in (ahead, back)]
        text += " " + ends.format(first=towards[0], why1=why[0], second=towards[1], why2=why[1])
    return text


def progressText(session: "RefineSession") -> str:
    """How far a repair is."""
    done, count = session.slicesDone
    return _("Slice {number} of {count}; press Repair all slices again to stop.").format(number=done + 1, count=count)
