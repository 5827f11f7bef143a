"""The line below the model card: how long a run will take on this computer, and how much memory."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Widgets.Texts import durationText

_DELAY_MS = 300
_GIGABYTE = 1e9


class CostPanel:
    """Asks the worker for a plan whenever the choices rest for a moment.

    Seconds a pass of the network are measured by the runs on the computer that computes and kept in the settings.

    Args:
        label: QLabel.
        worker: WorkerClient; None where nothing runs in a worker: the line stays empty.
        onPlan: called with the worker's plan and the seconds a pass that are known; with None and None where there is no plan.
    """

    def __init__(
        self, label, worker, onPlan: Callable[[dict | None, float | None], None] = lambda plan, secondsAPass: None
    ) -> None:
        self._label, self._worker, self._onPlan = label, worker, onPlan
        self._wanted: dict | None = None
        self._asked: dict | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._ask)
        self._show("")

    def update(self, job: SegmentJob | None) -> None:
        """The choices have changed, or may have; None where no model is chosen."""
        self._wanted = None
        if job is not None and self._worker is not None and self._worker.hello is not None:
            self._wanted = _parameters(job)
        if self._wanted is None:
            self._asked = None
            self._show("")
            self._onPlan(None, None)
        elif self._wanted != self._asked:
            self._timer.start()

    def learn(self, run: SegmentRun) -> None:
        """Remember how fast a finished run was."""
        passes, phases = run.report["windows"]["forward_passes"], run.report["seconds_by_phase"]
        seconds = sum(phases.get(phase, 0.0) for phase in ("find region", "network", "sum", "labels"))
        if passes and seconds:
            coarse = (run.report["coarse_model"] or {}).get("id", "")
            Settings.write(_paceKey(run.card.id, coarse, run.report["device"]), f"{seconds / passes:.6g}")
            self._asked = None

    def close(self) -> None:
        """Ask no more."""
        self._wanted = None
        self._timer.stop()

    def _ask(self) -> None:
        if self._wanted is not None and self._wanted != self._asked:
            self._asked = self._wanted
            modelId = self._wanted["model"]
            self._worker.request("plan_segment", self._wanted, lambda plan: self._showPlan(modelId, plan), self._onError)

    def _showPlan(self, modelId: str, plan: dict) -> None:
        if self._wanted is None or self._wanted["model"] != modelId:
            return
        pace = Settings.read(_paceKey(modelId, plan["coarse_model"], plan["device"]))
        time = _("about {duration}").format(duration=durationText(float(pace) * plan["forward_passes"])) if pace else ""
        memory, free = plan["memory_bytes"] / _GIGABYTE, plan["available_bytes"] / _GIGABYTE
        text = _("Expected on {device}: {time}, {memory:.1f} GB of memory ({free:.1f} GB are free).").format(
            device=plan["device"], time=time or _("time known after the first run"), memory=memory, free=free
        )
        self._show(text)
        self._onPlan(plan, float(pace) if pace else None)

    def _onError(self, error) -> None:
        # Whatever is wrong is said when it matters: by the input checks, or by the run. After `close` the label may be gone.
        if self._wanted is not None:
            self._show("")
            self._onPlan(None, None)

    def _show(self, text: str) -> None:
        self._label.setText(text)
        self._label.setVisible(bool(text))


def _parameters(job: SegmentJob) -> dict | None:
    """Of the worker's plan_segment; None without a volume, and for nodes that cannot be segmented."""
    volumeNode = job.volumeNodes[0]
    if volumeNode is None:
        return None
    try:
        _voxels, geometry = arrayAndGeometryFromVolume(volumeNode)
        parameters = job.parameters()
    except ValueError:
        return None
    return {
        "panel": "segment",
        "shape_kji": list(geometry.shape_kji),
        "ijk_to_ras": geometry.ijk_to_ras.tolist(),
        **parameters,
    }


def _paceKey(modelId: str, coarseId: str, device: str) -> str:
    """A server's processor is not this computer's: each server has its own."""
    models = "+".join(filter(None, (modelId, coarseId)))
    server = f"{Settings.serverName()}/" if Settings.isServerChosen() else ""
    return f"MedNeXtSegment/SecondsPerPass/{server}{models}/{device.replace(':', '')}"
