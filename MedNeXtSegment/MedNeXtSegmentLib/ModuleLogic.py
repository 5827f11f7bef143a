"""The module for scripts and the Python console: every capability as one call on nodes. No widgets."""

from collections.abc import Callable, Sequence

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedNeXtSegmentLib.Adapt.AdaptCalls import AdaptCalls
from MedNeXtSegmentLib.ParameterNode import MedNeXtSegmentParameterNode
from MedNeXtSegmentLib.Segment.SegmentCalls import SegmentCalls, segmentJob


class MedNeXtSegmentLogic(ScriptedLoadableModuleLogic, SegmentCalls, AdaptCalls):
    """The module for scripts and the Python console; the calls of automatic runs are in SegmentCalls, those of adapting in AdaptCalls.

    >>> logic = slicer.modules.mednextsegment.widgetRepresentation().self().logic     # shares the panel's warm worker
    >>> segmentationNode = logic.segment(volumeNode, model="hippocampus-mr", roiNode=roiNode)

    Args:
        engine: computes in this process (MedNeXtSegmentLib.Segment.InProcessEngine), for scripts without Qt; None for a worker process,
            which starts with the first run.

    Attributes:
        worker: the WorkerClient, None with an engine of one's own.
        engine: the worker, or the engine of one's own.
        history: undo and redo of what the module did.
        autoSegment, refine: the SegmentLogic and the RefineLogic.
        evaluation, review, library, collection, priors: the EvaluateLogic, the ReviewLogic, the ModelsLogic, the CollectLogic and the
            PriorsLogic; None without a worker, which they ask.
        workerListeners: objects that are told of the worker's hello (onWorkerReady) and log lines (onWorkerLog).
    """

    def __init__(self, engine=None):
        ScriptedLoadableModuleLogic.__init__(self)
        from MedNeXtSegmentLib.Adapt.CollectLogic import CollectLogic
        from MedNeXtSegmentLib.Adapt.PriorsLogic import PriorsLogic
        from MedNeXtSegmentLib.Evaluate.EvaluateLogic import EvaluateLogic
        from MedNeXtSegmentLib.Models.ModelsLogic import ModelsLogic
        from MedNeXtSegmentLib.Refine.RefineLogic import RefineLogic
        from MedNeXtSegmentLib.Review.ReviewLogic import ReviewLogic
        from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
        from MedNeXtSegmentLib.Segment.SegmentLogic import SegmentLogic

        self.workerListeners: list = []
        self.worker = self._newWorker() if engine is None else None
        self.engine = engine or self.worker
        self.history = EditHistory()
        self.autoSegment = SegmentLogic(self.engine, self.history)
        self.refine = RefineLogic(self.worker, self.history)
        self.evaluation = self.review = self.library = self.collection = self.priors = self._adaptation = None
        if self.worker is not None:
            self.evaluation, self.review = EvaluateLogic(self.worker), ReviewLogic(self.worker)
            self.library, self.collection = ModelsLogic(self.worker), CollectLogic(self.worker)
            self.priors = PriorsLogic(self.worker)

    def _newWorker(self, isMain: bool = True):
        from MedNeXtSegmentLib import Settings
        from MedNeXtSegmentLib.Worker.ServerChoice import serverLaunch  # needs Qt, as does the client
        from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

        client = WorkerClient(
            Settings.workerProgram(),
            environment=Settings.workerEnvironment(),
            onReady=(lambda hello: self._tellListeners("onWorkerReady", hello)) if isMain else None,
            onLog=lambda text: self._tellListeners("onWorkerLog", text),
        )
        client.serverLaunch = serverLaunch
        return client

    @property
    def adaptation(self):
        """The AdaptLogic, made when it is first asked for; None without a worker. It has a worker of its own, so that runs and clicks
        need not wait for a training."""
        from MedNeXtSegmentLib.Adapt.AdaptLogic import AdaptLogic

        if self._adaptation is None and self.worker is not None:
            self._adaptation = AdaptLogic(self._newWorker(isMain=False))
        return self._adaptation

    def getParameterNode(self) -> MedNeXtSegmentParameterNode:
        """The panel's parameters, saved with the scene."""
        return MedNeXtSegmentParameterNode(super().getParameterNode())

    def restartWorkers(self) -> None:
        """Let the computer that is chosen now compute; runs end, a training goes on where it is."""
        self.worker.stop()
        if self._adaptation is not None:
            self._adaptation.restartWorker()

    def close(self) -> None:
        """End every run and the worker process, and observe nothing any more."""
        self.autoSegment.close()
        self.refine.close()
        if self.worker is not None:
            for logic in (self.evaluation, self.review, self.library, self.collection, self.priors):
                logic.close()
            self.worker.stop()
        if self._adaptation is not None:
            self._adaptation.close()

    def _tellListeners(self, method: str, argument) -> None:
        for listener in list(self.workerListeners):
            getattr(listener, method)(argument)

    def models(self) -> list:
        """Cards (mednextseg.models.model_card.ModelCard) of the installed models that segment, sorted by title.

        >>> [card.id for card in logic.models()]
        """
        from mednextseg.models.library import installed_models
        from mednextseg.models.model_card import read_card

        cards = [read_card(folder) for folder in installed_models().values()]
        return sorted((card for card in cards if card.task == "segment"), key=lambda card: card.title)

    def suggestNetworks(
        self,
        memoryGb: float,
        labels: int = 1,
        patchIJK: Sequence[int] = (96, 96, 96),
        recipe=None,
        waitForCompletion: bool = True,
        finishedCallback: Callable | None = None,
        **limits,
    ):
        """Rank MedNeXts that can be trained from scratch within a memory, by DeepMAD's score: a suggestion, not a measurement.

        >>> run = logic.suggestNetworks(8, labels=7, recipe="recipe.json")       # then: mednextseg train --recipe recipe.json ...
        >>> run.answer["networks"][0], run.answer["caution"]

        Args:
            memoryGb: for training on one patch at a time.
            labels: structures to tell apart.
            patchIJK: voxels of a patch, multiples of 16.
            recipe: file for the recipe of the best one, to be completed; None for none.
            waitForCompletion: return only when they are ranked; the event loop keeps running.
            finishedCallback: called once with the run, when it is over.
            limits: channels of the images (1), most_parameters, most_seconds for one patch on this computer, which is then measured.
        Returns:
            A MedNeXtSegmentLib.Models.ModelsRun.ModelsRun: answer, error, isFinished.
        Raises:
            RunFailure: (a RuntimeError) where it was waited for and failed, as where no network fits.
        """
        logic = self._withWorker(self.library)
        asked = {"memory_gb": memoryGb, "label_count": labels, "patch_kji": list(patchIJK)[::-1], **limits}
        run = logic.suggestNetworks(asked if recipe is None else {**asked, "target": str(recipe)}, finishedCallback)
        if waitForCompletion:
            logic.wait(run)
        return run

    def startRefinement(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter=None,
        onChanged: Callable | None = None,
        useDisplayedWindow: bool = True,
        family: str | None = None,
    ):
        """Correct a segment by points, boxes, scribbles and lassos on any plane.

        Every action is written into the segment at once, within the Segment Editor's overwrite mode and editable area, and is one
        step of undo. Prompts and planes are in world RAS; parent transforms of every node are followed.

        >>> session = logic.startRefinement(volumeNode, segmentationNode, segmentId)
        >>> session.addPoint((12.0, -30.5, 41.0))                                             # on the axial plane through it
        >>> session.addPoint((10.0, -28.0, 44.0), positive=False, plane=(0.0, 0.6, 0.8))      # on an oblique one
        >>> session.propagate(slicesAhead=5, slicesBack=5); session.accept()
        >>> session.undo(); session.redo(); session.journal.save("prompts.json")
        >>> logic.startRefinement(volumeNode, segmentationNode, segmentId).replay("prompts.json")

        Args:
            volumeNode: vtkMRMLScalarVolumeNode.
            segmentationNode, segmentId: an existing segment, which may be empty.
            prompter: name or path as in mednextseg.refine.load_prompter; None for the bundled network.
            onChanged: called after each action.
            useDisplayedWindow: show the network the intensities as the volume is displayed (window/level), else between the 0.5 and
                99.5 percentiles of each slice. The journal records which.
            family: "sam" or "medsam" for a checkpoint whose tensor names cannot tell.
        Returns:
            A MedNeXtSegmentLib.Refine.RefineSession.RefineSession.
        Raises:
            ValueError: for nodes that cannot be used, in one sentence.
            RunFailure: (a RuntimeError) where the worker or the network cannot be started.
        """
        return self.refine.startRefinement(
            volumeNode, segmentationNode, segmentId, prompter, onChanged, useDisplayedWindow, family=family
        )

    def evaluate(
        self,
        referenceNode,
        testNode,
        pairs: Sequence | None = None,
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
    ):
        """Measure a segmentation against a reference, segment by segment, matched by name.

        >>> run = logic.evaluate(referenceNode, testNode)
        >>> {result.pair.name: result.metrics["dice"] for result in run.results}
        >>> run.confusion.rows, run.confusion.columns, run.confusion.volumesMl
        >>> run.exportCsv("table.csv")                                     # and table_confusion.csv

        Args:
            referenceNode, testNode: vtkMRMLSegmentationNode; parent transforms are followed, other voxel grids are resampled.
            pairs: what belongs together, as MedNeXtSegmentLib.Evaluate.SegmentPairs.SegmentPair; None matches by name, unions included.
            waitForCompletion: return only when all is measured; the event loop keeps running.
            progressCallback: called with the run after each segment.
            finishedCallback: called once with the run, when it is over.
        Returns:
            A MedNeXtSegmentLib.Evaluate.EvaluateRun.EvaluateRun: results, confusion, error, isFinished, exportCsv.
        Raises:
            ValueError: for nodes that cannot be compared, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where a run that was waited for failed or was cancelled.
        """
        run = self._withWorker(self.evaluation).evaluate(referenceNode, testNode, pairs, progressCallback, finishedCallback)
        if waitForCompletion:
            self.evaluation.wait(run)
        return run

    def reviewSlices(
        self,
        volumeNode,
        model: str,
        roiNode=None,
        recipe: dict | None = None,
        device: str = "auto",
        count: int = 20,
        whole: bool = False,
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
    ):
        """List the slices where a model is least sure of itself: the entropy of its probabilities over mirror images and folds.

        >>> run = logic.reviewSlices(volumeNode, model="hippocampus-mr", roiNode=roiNode)
        >>> [(item.segmentName, item.centerRAS, item.uncertainMm2) for item in run.slices]      # most uncertain first

        Args:
            volumeNode, model, roiNode, recipe, device, whole: as in `segment`.
            count: how many slices at most; those of one segment lie 3 mm apart at least.
            waitForCompletion: return only when the list is there; the event loop keeps running.
            progressCallback: called with the run, whose `fraction` is the done share in [0, 1].
            finishedCallback: called once with the run, when it is over.
        Returns:
            A MedNeXtSegmentLib.Review.ReviewRun.ReviewRun: slices, error, isFinished.
        Raises:
            ValueError: for input that cannot be searched, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where a run that was waited for failed or was cancelled.
        """
        job = segmentJob(volumeNode, model, roiNode, recipe=recipe, device=device, whole=whole)
        run = self._withWorker(self.review).review(job, count, progressCallback, finishedCallback)
        if waitForCompletion:
            self.review.wait(run)
        return run

    def exportDicomSeg(self, segmentationNode, path) -> None:
        """Write a segmentation as DICOM (SEG), by the extension Quantitative Reporting.

        >>> logic.exportDicomSeg(segmentationNode, "/data/patient/segmentation.dcm")

        Args:
            segmentationNode: vtkMRMLSegmentationNode whose source volume was loaded by the DICOM module.
            path: file that ends in .dcm.
        Raises:
            ValueError: in one sentence, where the extension is missing, the source volume is no DICOM, or the extension refuses.
            OSError: where the file cannot be written.
        """
        from MedNeXtSegmentLib.Scene.DicomExport import exportDicomSeg

        exportDicomSeg(segmentationNode, path)

    @staticmethod
    def _withWorker(logic):
        if logic is None:
            raise RuntimeError(_("This needs the worker process, and the module runs without one."))
        return logic

    def undo(self, segmentationNode) -> str:
        """Take back what the module did last to this segmentation, a run or a correction, and nothing else; without one, nothing
        happens.

        Returns:
            What could not be taken back, because it was changed again since, in one sentence; empty where all was.
        Raises:
            ValueError: in one sentence, where nothing of it could be taken back.
        """
        return self.history.undo(segmentationNode)

    def redo(self, segmentationNode) -> str:
        """Bring back what was undone last; otherwise as `undo`."""
        return self.history.redo(segmentationNode)
