"""Cases of the scene are kept on this computer, for an adaptation some day. No widgets; the worker writes the files."""

import json
from collections.abc import Callable, Sequence

import slicer
from slicer.i18n import tr as _

from mednextseg.cases.collected import CollectedCase, collected_cases, find_case, remove_case
from mednextseg.json_values import shown
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Adapt.SentCase import sentCase
from MedNeXtSegmentLib.Scene.Segmentations import REPORT_ATTRIBUTE
from MedNeXtSegmentLib.Scene.Volumes import scalarVolumes
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic


class CollectRun(WorkerRun):
    """Given back by CollectLogic.collect.

    Attributes:
        case: what was collected (mednextseg.cases.collected.CollectedCase); None before the end.
        error, isFinished: see WorkerRun; after an error an older case of the same volume is as it was.
    """

    case: CollectedCase | None = None


class CollectLogic(WorkerRunLogic):
    """Collects cases, lists and removes them."""

    def collect(
        self,
        volumeNodes: Sequence,
        segmentationNode,
        journals: Sequence[str] = (),
        finishedCallback: Callable[[CollectRun], None] | None = None,
    ) -> CollectRun:
        """Keep a volume and what was drawn on it; a case of the same volume is replaced.

        Args:
            volumeNodes: one for each channel.
            segmentationNode: what was drawn; its segments must not overlap.
            journals: of the corrections, as JSON text.
            finishedCallback: called once, with the run, when it is over.
        Raises:
            ValueError: for nodes that cannot be used, in one sentence; nothing was started.
            RuntimeError: where the disk has no room for a volume.
        """
        if Settings.isServerChosen():
            raise ValueError(_("Cases are kept on this computer, and a server computes; choose this computer in Set-up first."))
        if segmentationNode is None or not slicer.mrmlScene.IsNodePresent(segmentationNode):
            raise ValueError(_("Choose a segmentation; there is none to collect."))
        if not volumeNodes or any(node is None for node in volumeNodes):
            raise ValueError(_("Choose the volume of every channel; one is missing."))
        described, arrays = sentCase(0, volumeNodes[0].GetName(), scalarVolumes(volumeNodes), segmentationNode)
        run = CollectRun(self._worker, (*volumeNodes, segmentationNode), None, finishedCallback)
        parameters = {"cases": [described], **arrays, "base": baseOf(segmentationNode), "journals": list(journals)}
        self._begin(run, "collect_case", parameters, lambda value: self._deliver(run, value))
        return run

    def cases(self) -> tuple[list[CollectedCase], dict[str, str]]:
        """Those that are whole, the newest last, and for each damaged one, by its name, a sentence."""
        return collected_cases()

    def remove(self, name: str) -> None:
        """Delete a case by its id, or a damaged one by its name. ValueError or OSError, in one sentence, where that cannot be done."""
        remove_case(name)

    def _deliver(self, run: CollectRun, value: dict) -> None:
        run.case = find_case(value["id"])
        self._end(run)


def baseOf(segmentationNode) -> dict | None:
    """The model that made the segments before they were corrected: "id", "version", "weights_sha256"; None where that is not known."""
    text = segmentationNode.GetAttribute(REPORT_ATTRIBUTE)
    if not text:
        return None
    try:
        report = json.loads(text)
        return {"id": report["model_id"], "version": report["model_version"], "weights_sha256": report["weights_sha256"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(_("The report of {name} is damaged.").format(name=shown(segmentationNode.GetName()))) from error
