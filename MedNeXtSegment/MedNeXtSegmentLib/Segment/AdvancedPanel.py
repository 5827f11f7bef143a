"""Section "Advanced": the device, and which of the other widgets have a say."""

from slicer.i18n import tr as _

from mednextseg.models.library import averages_folds, find_model
from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.Widgets.Texts import deviceText


class AdvancedPanel:
    """Most widgets of the section are bound to parameters; this keeps the list of devices and what is enabled.

    Args:
        ui: widgets of Segment.ui.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._parameterNode = None
        self._devices: list[dict] = []
        self._isUpdating = False
        self._card: ModelCard | None = None
        self._averagesFolds = False
        self._viewsToolTip = ui.ttaCheckBox.toolTip
        ui.deviceSelector.connect("currentIndexChanged(int)", self._onDeviceChosen)
        self._fillDevices()

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self._parameterNode = parameterNode

    def setDevices(self, devices: list[dict]) -> None:
        """Offer the devices that the worker found: "id", "name", "memory_bytes" (None where unknown)."""
        self._devices = list(devices)
        self._fillDevices()

    @property
    def computesOnProcessor(self) -> bool:
        """Whether a run would use the processor; False as long as the devices are unknown."""
        chosen = self._parameterNode.device if self._parameterNode is not None else "auto"
        hasCard = any(device["id"].startswith("cuda") for device in self._devices)
        return bool(self._devices) and (chosen == "cpu" or (chosen == "auto" and not hasCard))

    @property
    def problem(self) -> str:
        """One sentence where the scene names a device that this computer lacks, else empty."""
        chosen = self._parameterNode.device if self._parameterNode is not None else "auto"
        if not self._devices or chosen == "auto" or any(device["id"] == chosen for device in self._devices):
            return ""
        return _("This computer has no device {device}; choose another one under Advanced.").format(device=chosen)

    def update(self, card: ModelCard | None) -> None:
        """Show what the parameters say, and enable what has a say."""
        ui, parameters = self._ui, self._parameterNode
        self._isUpdating = True
        index = ui.deviceSelector.findData(parameters.device) if parameters is not None else 0
        if index < 0:
            ui.deviceSelector.addItem(_("{device} (not on this computer)").format(device=parameters.device), parameters.device)
            index = ui.deviceSelector.findData(parameters.device)
        ui.deviceSelector.setCurrentIndex(index)
        self._isUpdating = False
        ui.overlapSlider.enabled = parameters is not None and not parameters.useCardOverlap
        for widget in (ui.keepLargestCheckBox, ui.fillHolesCheckBox, ui.minimumVolumeSpinBox):
            widget.enabled = parameters is not None and not parameters.useCardCleanUp
        self._showViews(card)
        if card is not self._card:  # the cards of a model's parts are files
            self._card, self._averagesFolds = card, card is not None and _averagesFolds(card)
        ui.ensembleCheckBox.enabled = self._averagesFolds

    def _showViews(self, card: ModelCard | None) -> None:
        isAlways = card is not None and card.tta
        self._ui.ttaCheckBox.enabled = card is not None and len(card.mirror_axes_kji) > 0 and not isAlways
        self._ui.ttaCheckBox.toolTip = _("This model always does so.") if isAlways else self._viewsToolTip

    def _fillDevices(self) -> None:
        self._isUpdating = True
        self._ui.deviceSelector.clear()
        self._ui.deviceSelector.addItem(_("Automatic"), "auto")
        for device in self._devices:
            self._ui.deviceSelector.addItem(deviceText(device), device["id"])
        if self._parameterNode is not None:
            self._ui.deviceSelector.setCurrentIndex(max(0, self._ui.deviceSelector.findData(self._parameterNode.device)))
        self._isUpdating = False

    def _onDeviceChosen(self, *_args) -> None:
        if not self._isUpdating and self._parameterNode is not None:
            self._parameterNode.device = self._ui.deviceSelector.itemData(self._ui.deviceSelector.currentIndex)


def _averagesFolds(card: ModelCard) -> bool:
    """False for a model that is no longer installed."""
    try:
        return averages_folds(find_model(f"{card.id}@{card.version}"))
    except ValueError:
        return False
