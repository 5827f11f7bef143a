"""A prompt journal done again."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Cancel, Prompter, PrompterInfo
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import SlicePlane


def replay(
    journal: PromptJournal,
    volume_kji: np.ndarray,
    volume_geometry: Geometry,
    prompter: Prompter,
    segment_kji: np.ndarray | None = None,
    segment_geometry: Geometry | None = None,
) -> Refinement:
    """Do everything in a journal again, on the same volume and the segment as it was before.

    Raises:
        ValueError: where the prompter or the volume is not the one that the journal was made with, or an action is impossible.
    """
    check_prompter(journal, prompter.info)
    check_volume(journal, volume_kji, volume_geometry)
    refinement = Refinement(
        volume_kji, volume_geometry, prompter, segment_kji, segment_geometry, journal.display_range, journal.segment
    )
    for entry in journal.entries:
        do_entry(refinement, entry)
    return refinement


def check_prompter(journal: PromptJournal, info: PrompterInfo) -> None:
    """Raise ValueError where a journal was made with another prompter, which would answer otherwise."""
    if journal.model_hash != info.model_hash:
        theirs, mine = f"{journal.prompter} {journal.model_hash[:8]}", f"{info.name} {info.model_hash[:8]}"
        raise ValueError(f"the journal was made with {theirs}, this is {mine}; install the model it was made with.")


def check_volume(journal: PromptJournal, volume_kji: np.ndarray, geometry: Geometry) -> None:
    """Raise ValueError where a journal was made on another volume, or at another place; journals that do not say pass."""
    if journal.volume is not None:
        journal.volume.check(volume_kji, geometry)


def do_entry(refinement: Refinement, entry: dict, cancel: Cancel | None = None) -> tuple[str, str]:
    """Do one action of a journal; `cancel` as in Prompter.predict.

    Returns:
        Why a propagation ended ahead and back; empty for other actions.
    """
    action = entry["action"]
    if action == "point":
        plane = SlicePlane.from_dict(entry["plane"])
        refinement.add_point(entry["point_ras_mm"], entry["positive"], plane, cancel, entry.get("answered", True))
    elif action == "box":
        refinement.add_box(entry["corners_ras_mm"], SlicePlane.from_dict(entry["plane"]), cancel)
    elif action in ("scribble", "lasso"):
        add = refinement.add_scribble if action == "scribble" else refinement.add_lasso
        add(entry["points_ras_mm"], entry["positive"], SlicePlane.from_dict(entry["plane"]), cancel)
    elif action in ("remove_point", "remove_stroke"):
        getattr(refinement, action)(entry["index"], cancel)
    elif action == "window":
        refinement.set_display_range(entry["window"])
    elif action == "propagate":
        return refinement.propagate(entry["slices_ahead"], entry["slices_back"], cancel=cancel)
    elif action == "whole_object":
        return refinement.whole_object(cancel)
    elif action in ("prompt_from_segment", "repair_slices"):
        getattr(refinement, action)(SlicePlane.from_dict(entry["plane"]), cancel)
    elif action in ("undo", "redo"):
        if not getattr(refinement, action)():
            raise ValueError(f"the journal is damaged: it has {action} where there is nothing to {action}.")
    elif action in ("remove_box", "propagate_between"):
        getattr(refinement, action)(cancel)
    else:
        getattr(refinement, action)()
    return "", ""
