"""How long a click of the Refine tab takes, from the release of the mouse to the picture with the corrected segment.

    PYTHONPATH=MedNeXtSegment:Testing/host python Testing/benchmarks/refine_latency.py --prompter NAME|FOLDER --clicks 30

Real panel, worker process, segment editor logic and rendered slice view on the test host; clicks go round a ball-shaped segment in the
middle of the volume, on and beside it, each few of them on another slice. The first click on a slice has to sample it and, with some
networks, to encode it. Prints milliseconds, and what the processor did in them: on a busy machine only that means something.
`--parts` lists what costs most in this process. Asserts nothing.
"""

import argparse
import cProfile
import json
import math
import os
import pstats
import statistics
import time
from pathlib import Path

import numpy as np

import slicerhost
from pictures.panel import MODULE, templatePath

TIMEOUT_S = 600
VIEW_SIZE_PX, FIELD_OF_VIEW_MM, RADIUS_MM, CLICKS_PER_SLICE = (500, 500), 160, 25.0, 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prompter", default="", help='"clicknet", "random_walker" or a package folder; default: as the panel does'
    )
    parser.add_argument("--volume", type=Path, help="image file; default: the head template of the package nilearn")
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument(
        "--during-runs", default="", metavar="MODEL", help="an automatic run of this model goes on all the time"
    )
    parser.add_argument(
        "--empty", action="store_true", help="the segment is empty, so that a first click on a slice begins an object"
    )
    parser.add_argument("--parts", action="store_true", help="list what costs most in this process")
    options = parser.parse_args()
    bench = Bench(slicerhost.start(qt=True), options)
    profile = cProfile.Profile()
    for number in range(-CLICKS_PER_SLICE, 0):  # one slice to warm up
        bench.click(number)
    if options.parts:
        profile.enable()
    for number in range(options.clicks):
        bench.click(number)
    profile.disable()
    print(json.dumps(bench.report(), indent=1))
    if options.parts:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    bench.host.unload_modules()


class Bench:
    """The Refine tab on a volume with a segment to be corrected, and a shown slice view."""

    def __init__(self, host, options: argparse.Namespace):
        import slicer

        from MedNeXtSegmentLib.Refine import RefineLogic
        from slicerhost.views.qt_views import ViewWidget
        from slicerhost.views.slice_view import SliceView

        if options.prompter:
            RefineLogic.defaultPrompter = lambda: options.prompter
        self.host = host
        self.volume = slicer.util.loadVolume(str(options.volume or templatePath()))
        self.center_ras = _middle_of(self.volume)
        self.segmentation = _ball(self.volume, self.center_ras, 0.0 if options.empty else RADIUS_MM)
        self.representation = host.load_module(str(MODULE)).widgetRepresentation()
        self.representation.enter()
        panel = self.representation.self().panel
        self.tools = panel.refine.tools
        parameters = panel.refine._parameterNode
        parameters.inputVolume, parameters.outputSegmentation = self.volume, self.segmentation
        panel.tabs.setCurrentIndex(1)
        self.view = SliceView("Red", "Axial", size=VIEW_SIZE_PX)
        self.widget = ViewWidget(self.view)
        self.widget.resize(*VIEW_SIZE_PX)
        self.widget.show()
        self.view.show_volume(self.volume)
        self.view.center_on(self.center_ras, FIELD_OF_VIEW_MM)
        self.waits_ms = {"first click on a slice": [], "further clicks": []}
        self.warm_up_ms, self.panel_cpu_ms, self.worker_cpu_ms = [], [], []
        self._watch_pictures_and_edits()
        host.wait_until(lambda: self.representation.self().logic.worker.hello is not None, TIMEOUT_S)
        self.model, self.run, self.runs = options.during_runs, None, 0
        self.worker_pid = self.representation.self().logic.worker.hello["pid"]

    def click(self, number: int) -> None:
        """One click; beside the object after one on it. Negative numbers warm up."""
        self._keep_running()
        on_slice = number % CLICKS_PER_SLICE
        if on_slice == 0:
            offset_mm = 3.0 * (number // CLICKS_PER_SLICE)
            self.view.node.JumpSlice(*(self.center_ras + np.array([0, 0, offset_mm])))
        (self.tools.ui.pointMinusButton if on_slice % 2 else self.tools.ui.pointPlusButton).setChecked(True)
        self._settle()
        angle = 2.4 * number
        radius_mm = RADIUS_MM * (0.85 if on_slice % 2 else 1.15)
        plane = self.view.node.GetSliceToRAS()
        center = np.array([plane.GetElement(row, 3) for row in range(3)])
        point = center + radius_mm * np.array([np.cos(angle), np.sin(angle), 0.0])
        x, y = (round(value) for value in self.view.ras_to_xy(point))
        self.view.mouse.move(x, y)
        self._settle()
        entries = len(self.tools.session.journal.entries)
        cpu_s, worker_cpu_s = time.process_time(), _cpu_seconds(self.worker_pid)
        self.view.mouse.press(x, y)
        self.edited_at = self.pictured_at = 0.0
        start = time.perf_counter()
        self.view.mouse.release(x, y)
        limit = start + TIMEOUT_S
        while not self._is_shown(entries) and time.perf_counter() < limit:
            self.host.process_events()
        wait_ms = 1000 * (self.pictured_at - start)
        if not self.edited_at:
            raise RuntimeError(f"The click was not answered: {self.tools.ui.refineStatusLabel.text}")
        if number < 0:
            self.warm_up_ms.append(wait_ms)
        else:
            self.panel_cpu_ms.append(1000 * (time.process_time() - cpu_s))
            self.worker_cpu_ms.append(1000 * (_cpu_seconds(self.worker_pid) - worker_cpu_s))
            self.waits_ms["further clicks" if on_slice else "first click on a slice"].append(wait_ms)

    def report(self) -> dict:
        """Milliseconds, and what was measured."""
        info = self.tools.session.prompterInfo
        image = self.volume.GetImageData().GetDimensions()
        both = {"all clicks": [ms for part in self.waits_ms.values() for ms in part], **self.waits_ms}
        return {
            "prompter": f"{info.name} {info.model_hash[:8]} on {info.device}",
            "volume": f"{self.volume.GetName()} {image[0]} x {image[1]} x {image[2]}",
            "view": f"{VIEW_SIZE_PX[0]} x {VIEW_SIZE_PX[1]} pixels",
            "automatic runs meanwhile": self.runs,
            **{name: _summary(values) for name, values in both.items() if values},
            "processor ms a click, this process (pictures included)": round(statistics.mean(self.panel_cpu_ms), 1),
            "processor ms a click, worker, all cores": round(statistics.mean(self.worker_cpu_ms), 1),
            "load average (1 min) and cores": [round(os.getloadavg()[0], 1), os.cpu_count()],
        }

    def _keep_running(self) -> None:
        """Start an automatic run where one is wanted and none goes on; wait until its network is at work."""
        if not self.model or (self.run is not None and not self.run.isFinished):
            return
        phases = []
        logic = self.representation.self().logic
        self.run = logic.segment(
            self.volume, self.model, waitForCompletion=False, progressCallback=lambda progress: phases.append(progress.phase)
        )
        self.host.wait_until(lambda: "network" in phases or self.run.isFinished, TIMEOUT_S)
        self.runs += 1

    def _is_shown(self, entries: int) -> bool:
        """Whether the click was answered and a picture was made after the last change of the segment."""
        isDone = len(self.tools.session.journal.entries) > entries and not self.tools.isBusy
        return isDone and self.edited_at > 0 and self.pictured_at > self.edited_at

    def _watch_pictures_and_edits(self) -> None:
        import slicer

        def edited(*_args) -> None:
            self.edited_at = time.perf_counter()

        def pictured() -> None:
            render_now()
            self.pictured_at = time.perf_counter()

        events = slicer.vtkSegmentation
        for event in (events.SourceRepresentationModified, events.SegmentModified):
            self.segmentation.GetSegmentation().AddObserver(event, edited)
        render_now = self.widget.render_now
        self.widget._timer.timeout.disconnect(render_now)
        self.widget._timer.timeout.connect(pictured)

    def _settle(self) -> None:
        """Until nothing is to be done or drawn any more."""
        self.host.wait_until(lambda: not self.tools.isBusy and self.tools.session is not None, TIMEOUT_S)
        for _ in range(3):
            self.host.process_events()
            self.host.wait_until(lambda: not self.widget._timer.property("active"), TIMEOUT_S)


def _cpu_seconds(pid: int) -> float:
    """What a process has computed since its start, in steps of 10 ms; NaN where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return math.nan
    user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _summary(values_ms: list[float]) -> dict:
    return {
        "n": len(values_ms),
        "p50 ms": round(statistics.median(values_ms), 1),
        "p95 ms": round(float(np.percentile(values_ms, 95)), 1),
        "max ms": round(max(values_ms), 1),
    }


def _middle_of(volume) -> np.ndarray:
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    return (bounds[::2] + bounds[1::2]) / 2


def _ball(volume, center_ras, radius_mm: float):
    """A segmentation with a ball as its segment, which stands for an automatic result; empty for a radius of 0."""
    import slicer

    from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
    from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

    voxels, geometry = arrayAndGeometryFromVolume(volume)
    k, j, i = np.ogrid[tuple(slice(n) for n in voxels.shape)]
    matrix = geometry.ijk_to_ras
    squared = sum(
        (matrix[n, 0] * i + matrix[n, 1] * j + matrix[n, 2] * k + matrix[n, 3] - center_ras[n]) ** 2 for n in range(3)
    )
    segmentation = newSegmentationFor(volume, "Automatic result")
    segment_id = segmentation.GetSegmentation().AddEmptySegment("ball", "ball")
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        (squared < radius_mm**2).astype(np.uint8), segmentation, segment_id, volume
    )
    return segmentation


if __name__ == "__main__":
    main()
