"""What the tests of the panel share: a library of tiny models, a worker that outlives a test, volumes with something in them."""

import time
from pathlib import Path

import numpy as np
import slicer
from scipy.spatial.transform import Rotation
from tiny_models import tiny_mednext, write_package

from mednextseg.models.model_card import card_from_dict, read_card, write_card

RUN_TIMEOUT_S = 300
MODULE = Path(__file__).parents[2] / "MedNeXtSegment" / "MedNeXtSegment.py"


def writeTinyLibrary(home: Path) -> None:
    """Models "tiny" (MR, left and right) and "two" (T1 and FLAIR) of real, random MedNeXts."""
    folder = write_package(home / "models" / "tiny", tiny_mednext(), ("left", "right"), mirror_axes_kji=[0, 1, 2])
    card = read_card(folder).to_dict()
    more = {
        "title": "Tiny head model",
        "description": "A small random network.",
        "metrics": [{"data": "no data", "dice": {"left": 0.5, "right": 0.25}}],
    }
    write_card(card_from_dict({**card, **more}), folder)
    channels = [{"name": n, "modality": "MR", "normalization": {"scheme": "zscore"}} for n in ("T1", "FLAIR")]
    write_package(home / "models" / "two", tiny_mednext(in_channels=2), ("lesion", "edema"), channels=channels, title="Lesions")


def addVolume(name: str = "MR", shape=(14, 18, 22), seed: int = 0):
    """A volume node with noise, oblique."""
    voxels = np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (3, 6, -8), degrees=True).as_matrix() * (1.2, 0.9, 1.5)
    matrix[:3, 3] = (5, -60, 30)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name=name)


def voxelsOf(segmentationNode, name: str, volume) -> np.ndarray:
    """bool (K, J, I) on the volume's grid."""
    segmentId = segmentationNode.GetSegmentation().GetSegmentIdBySegmentName(name)
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volume) > 0


def segmentNames(segmentationNode) -> list[str]:
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def chooseAndApply(panel, volume, output=None, modelId: str = "tiny") -> None:
    """Fill in the Segment tab and press Apply."""
    parameters = panel._parameterNode
    parameters.inputVolume = volume
    parameters.modelId = modelId
    parameters.outputSegmentation = output
    assert panel.ui.applyButton.enabled, panel.ui.applyButton.toolTip
    panel.ui.applyButton.click()


def waitForEnd(host, panel) -> None:
    """Until the Segment tab's run is over."""
    host.wait_until(lambda: panel.run is None, RUN_TIMEOUT_S)


class TickRecorder:
    """Records the time between event-loop ticks of a timer: wall-clock, and what this process itself computed meanwhile.

    Attributes:
        longest_s, longest_computing_s: over all ticks so far.
    """

    def __init__(self, qt) -> None:
        self.longest_s = self.longest_computing_s = 0.0
        self.ticks = 0
        self._last = (time.perf_counter(), time.process_time())
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        now = (time.perf_counter(), time.process_time())
        self.longest_s = max(self.longest_s, now[0] - self._last[0])
        self.longest_computing_s = max(self.longest_computing_s, now[1] - self._last[1])
        self.ticks += 1
        self._last = now
