"""A prompt journal done again."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Prompter
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
        ValueError: where the prompter is not the one that the journal was made with.
    """
    if journal.model_hash != prompter.info.model_hash:
        mine = f"{prompter.info.name} {prompter.info.model_hash[:8]}"
        theirs = f"{journal.prompter} {journal.model_hash[:8]}"
        raise ValueError(f"the journal was made with {theirs}, this is {mine}; install the model it was made with.")
    refinement = Refinement(
        volume_kji, volume_geometry, prompter, segment_kji, segment_geometry, journal.window, journal.segment
    )
    for entry in journal.entries:
        _do_entry(refinement, entry)
    return refinement


def _do_entry(refinement: Refinement, entry: dict) -> None:
    action = entry["action"]
    if action == "point":
        plane = SlicePlane.from_dict(entry["plane"])
        refinement.add_point(entry["point_ras_mm"], entry["positive"], plane, is_answered=entry.get("answered", True))
    elif action == "box":
        refinement.add_box(entry["corners_ras_mm"], SlicePlane.from_dict(entry["plane"]))
    elif action == "remove_point":
        refinement.remove_point(entry["index"])
    elif action == "window":
        refinement.set_window(entry["window"])
    elif action == "propagate":
        refinement.propagate(entry["slices_ahead"], entry["slices_back"])
    else:
        getattr(refinement, action)()
