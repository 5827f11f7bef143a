"""One entry of a prompt journal, done in a session."""

from mednextseg.refine.slices.slice_plane import SlicePlane


def doEntry(session, entry: dict) -> None:
    """Do what the entry says; `session` is a RefineSession."""
    action = entry["action"]
    if action == "point":
        add = session.addPoint if entry.get("answered", True) else session.keepPoint
        add(entry["point_ras_mm"], entry["positive"], SlicePlane.from_dict(entry["plane"]))
    elif action == "box":
        session.addBox(entry["corners_ras_mm"], SlicePlane.from_dict(entry["plane"]))
    elif action == "remove_point":
        session.removePoint(entry["index"])
    elif action == "remove_box":
        session.removeBox()
    elif action == "window":
        session.setWindow(entry["window"])
    elif action == "propagate":
        session.propagate(entry["slices_ahead"], entry["slices_back"])
    elif action == "propagate_between":
        session.propagateBetween()
    else:
        getattr(session, action)()
