"""What the module offers in other places of Slicer once Slicer has started. Apart from ModulePanel, so that starting costs little."""

from collections.abc import Callable

from MedNeXtSegmentLib.Setup.SampleVolume import registerSampleVolume
from MedNeXtSegmentLib.Setup.SettingsPanel import addToSettingsDialog


def offerInSlicer(resourcePath: Callable[[str], str]) -> None:
    """Add the sample volume to the Sample Data module, and a page to the settings dialog.

    Args:
        resourcePath: file name -> path under Resources/.
    """
    registerSampleVolume(resourcePath("Icons"))
    addToSettingsDialog(resourcePath("UI/Settings.ui"))
