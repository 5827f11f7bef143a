"""Section "Inputs": the volume of each channel, the region of interest, and what is odd about them."""

import slicer
from slicer.i18n import tr as _

from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.ParameterNode import inputVolumesOf
from MedNeXtSegmentLib.Scene.Regions import placeROIInVolume
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, volumeKey
from MedNeXtSegmentLib.Segment.SegmentLogic import Regions, SegmentLogic

MAXIMUM_CHANNELS = 4


class InputsPanel:
    """Shows as many volume selectors as the model has channels.

    Args:
        ui: widgets of Segment.ui.
        logic: checks the input.
    """

    def __init__(self, ui, logic: SegmentLogic) -> None:
        self._ui, self._logic = ui, logic
        self._parameterNode = None
        self._checked: tuple = ()
        self.problem = ""
        self._rows = [
            (getattr(ui, f"inputVolume{number}Label"), getattr(ui, f"inputVolume{number}Selector"))
            for number in ("", "2", "3", "4")
        ]
        ui.roiSelector.nodeAddedByUser.connect(self._onROIAdded)

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self._parameterNode = parameterNode
        self._checked = ()

    def volumeNodes(self, card: ModelCard) -> list:
        """The chosen volume of each channel; None where there is none."""
        return inputVolumesOf(self._parameterNode, len(card.channels))

    def update(self, card: ModelCard | None) -> None:
        """Show the selectors that the model needs, and warnings about what is chosen."""
        self._showRows(card)
        self._check(card)

    def checkAgain(self) -> None:
        """Forget what was said of the input: models may have been installed that find regions."""
        self._checked = ()

    def fillByName(self, card: ModelCard) -> None:
        """Choose a volume for each further channel whose name occurs in a volume's name ("FLAIR" in "case 3 flair")."""
        if len(card.channels) < 2:
            return
        nodes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if not node.GetHideFromEditors()]
        for number, channel in enumerate(card.channels[:MAXIMUM_CHANNELS]):
            parameter = f"inputVolume{number + 1 if number else ''}"
            matches = [node for node in nodes if channel.name.lower() in node.GetName().lower()]
            if len(matches) == 1 and (number == 0 or getattr(self._parameterNode, parameter) is None):
                setattr(self._parameterNode, parameter, matches[0])

    def _showRows(self, card: ModelCard | None) -> None:
        channels = card.channels if card is not None else ()
        for number, (label, selector) in enumerate(self._rows):
            isShown = number == 0 or number < len(channels)
            label.setVisible(isShown)
            selector.setVisible(isShown)
            if len(channels) > 1 and number < len(channels):
                label.setText(_("Input {channel}:").format(channel=channels[number].name))
        if len(channels) <= 1:
            self._rows[0][0].setText(_("Input volume:"))

    def _check(self, card: ModelCard | None) -> None:
        nodes = [node for node in self.volumeNodes(card) if node is not None] if card is not None else []
        isComplete = card is not None and len(nodes) == len(card.channels)
        hasRegion = isComplete and self._parameterNode.roi is not None
        isWhole = self._parameterNode is not None and self._parameterNode.wholeVolume
        state = (card.id, hasRegion, isWhole, *(self._stateOf(node) for node in nodes)) if isComplete else ()
        if state == self._checked and state:
            return
        self._checked = state
        self.problem, warnings, regions = "", [], Regions.NONE
        if isComplete:
            try:
                warnings = self._logic.inputWarnings(nodes, card)
                regions = Regions.NONE if hasRegion else self._logic.regionsFor(nodes[0], card)
            except ValueError as error:
                self.problem = str(error)
        if regions is Regions.FROM_USER and not isWhole:
            text = _("{model} needs a region of interest in a volume of this size; choose one, or check Whole volume anyway.")
            self.problem = " ".join([text.format(model=card.title), self._logic.missingCoarseModel(card)]).rstrip()
        self._ui.wholeVolumeCheckBox.setVisible(regions is Regions.FROM_USER or (regions is Regions.FROM_MODEL and isWhole))
        isFound = regions is Regions.FROM_MODEL and not isWhole
        hints = [card.roi_hint] if isComplete and card.roi_hint and not hasRegion and not isFound else []
        lines = [f"\u26a0 {line}" for line in (*([self.problem] if self.problem else warnings), *hints)]
        if isFound:
            text = _("No region is needed: {model} finds {names}.")
            lines.append(text.format(model=card.region_from.model, names=", ".join(card.region_from.labels)))
        self._ui.inputWarningLabel.setText("\n".join(lines))
        self._ui.inputWarningLabel.setVisible(bool(lines))

    def _stateOf(self, node) -> str:
        try:
            _voxels, geometry = arrayAndGeometryFromVolume(node)
        except ValueError as error:
            return f"{node.GetID()} {error}"
        return volumeKey(node, geometry)

    def _onROIAdded(self, *_args) -> None:
        roiNode, volumeNode = self._ui.roiSelector.currentNode(), self._parameterNode.inputVolume
        if roiNode is not None and volumeNode is not None:
            placeROIInVolume(roiNode, volumeNode)
