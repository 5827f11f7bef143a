"""Markup placement as the toolbar of Slicer switches it on and off. Without Qt."""

import slicer


def start_placing(markups_node, persistent: bool = False) -> None:
    """The next click in a view defines a point of this node.

    Args:
        markups_node: vtkMRMLMarkupsNode that receives the points.
        persistent: stay in place mode after the first markup.
    """
    slicer.modules.markups.logic().SetActiveList(markups_node)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(persistent)
    interaction.SetCurrentInteractionMode(interaction.Place)


def stop_placing() -> None:
    """Back to moving the view; a preview point disappears."""
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)


def active_place_node():
    """The node that receives placed points, or None."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    node_id = selection.GetActivePlaceNodeID()
    return slicer.mrmlScene.GetNodeByID(node_id) if node_id else None
