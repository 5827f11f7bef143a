"""What the panels have in common that show the module's parameters."""

import vtk
from slicer.util import VTKObservationMixin


class NodePanel(VTKObservationMixin):
    """Follows one parameter node after the other; `update` is called whenever a parameter has changed.

    Args:
        ui: widgets.
        isBound: whether those that name a parameter in their property SlicerParameterName are kept equal to it.
    """

    def __init__(self, ui, isBound: bool = True) -> None:
        VTKObservationMixin.__init__(self)
        self.ui, self._isBound = ui, isBound
        self._parameterNode = None
        self._guiTag = None

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters and follow them; None for none."""
        if self._parameterNode is not None:
            if self._isBound:
                self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            if self._isBound:
                self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)

    def update(self) -> None:
        """Show what the parameters say."""
        raise NotImplementedError

    def _onParametersChanged(self, _caller=None, _event=None) -> None:
        self.update()
