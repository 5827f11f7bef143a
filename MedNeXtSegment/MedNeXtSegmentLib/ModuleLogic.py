"""The module for scripts and the Python console: every capability as one call on nodes. No widgets."""

from collections.abc import Callable, Sequence

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedNeXtSegmentLib.ParameterNode import MedNeXtSegmentParameterNode


class MedNeXtSegmentLogic(ScriptedLoadableModuleLogic):
    """The module for scripts and the Python console.

    >>> logic = slicer.modules.mednextsegment.widgetRepresentation().self().logic     # shares the panel's warm worker
    >>> segmentationNode = logic.segment(volumeNode, model="hippocampus-mr", roiNode=roiNode)

    Args:
        engine: what computes (MedNeXtSegmentLib.Segment.SegmentEngine); None for a worker process, which starts with the first run.

    Attributes:
        worker: the WorkerClient, None with an engine of one's own.
        history: undo and redo of what the module did.
        autoSegment: the SegmentLogic.
        refine: the RefineLogic.
        evaluation, review: the EvaluateLogic and the ReviewLogic; None with an engine of one's own, as they ask the worker.
        workerListeners: objects that are told of the worker's hello (onWorkerReady) and log lines (onWorkerLog).
    """

    def __init__(self, engine=None):
        ScriptedLoadableModuleLogic.__init__(self)
        from MedNeXtSegmentLib.Refine.RefineLogic import RefineLogic
        from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
        from MedNeXtSegmentLib.Segment.SegmentLogic import SegmentLogic

        self.worker = None
        self.workerListeners: list = []
        if engine is None:
            from MedNeXtSegmentLib import Settings
            from MedNeXtSegmentLib.Segment.WorkerEngine import WorkerSegmentEngine
            from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

            self.worker = WorkerClient(
                Settings.workerProgram(),
                environment=Settings.workerEnvironment(),
                onReady=lambda hello: self._tellListeners("onWorkerReady", hello),
                onLog=lambda text: self._tellListeners("onWorkerLog", text),
            )
            engine = WorkerSegmentEngine(self.worker)
        self.engine = engine
        self.history = EditHistory()
        self.autoSegment = SegmentLogic(engine, self.history)
        self.refine = RefineLogic(self.worker, self.history)
        self.evaluation = self.review = None
        if self.worker is not None:
            from MedNeXtSegmentLib.Evaluate.EvaluateLogic import EvaluateLogic
            from MedNeXtSegmentLib.Review.ReviewLogic import ReviewLogic

            self.evaluation, self.review = EvaluateLogic(self.worker), ReviewLogic(self.worker)

    def getParameterNode(self) -> MedNeXtSegmentParameterNode:
        """The panel's parameters, saved with the scene."""
        return MedNeXtSegmentParameterNode(super().getParameterNode())

    def close(self) -> None:
        """End every run and the worker process, and observe nothing any more."""
        self.autoSegment.close()
        self.refine.close()
        if self.worker is not None:
            self.evaluation.close()
            self.review.close()
            self.worker.stop()

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

    def segment(
        self,
        volumeNode,
        model: str,
        roiNode=None,
        labels: Sequence[str] | None = None,
        recipe: dict | None = None,
        segmentationNode=None,
        device: str = "auto",
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
    ):
        """Segment a volume into named, colored segments.

        Parent transforms of every node are followed; the volume is never changed. In an existing segmentation, segments of the
        model's names are replaced and all others stay as they are; `undo` takes the whole run back in one step.

        >>> segmentationNode = logic.segment(volumeNode, model="hippocampus-mr", labels=["Anterior hippocampus"])
        >>> run = logic.segment(volumeNode, model="hippocampus-mr", waitForCompletion=False,
        ...                     progressCallback=lambda p: print(f"{p.phase} {p.fraction:.0%}, {p.seconds_left} s left"),
        ...                     finishedCallback=lambda run: print(run.error or run.report["volumes_ml"]))
        >>> run.cancel()

        Args:
            volumeNode: vtkMRMLScalarVolumeNode; for a model of several channels a list, in the order of the model card.
            model: id of an installed model, or the folder of one.
            roiNode: vtkMRMLMarkupsROINode (rotated ones too): label only inside; None for the whole volume.
            labels: names of the labels to keep; None for all.
            recipe: as in mednextseg.segment.recipe.SegmentRecipe, for instance {"tta": True, "overlap": 0.5}.
            segmentationNode: vtkMRMLSegmentationNode to write into; None makes one beside the volume.
            device: "auto", "cpu", "cuda:N" or "mps".
            waitForCompletion: return only when the run is over; the event loop keeps running.
            progressCallback: called with a Progress: phase, fraction of the whole in [0, 1], seconds_left (None while unknown).
            finishedCallback: called once, when the run is over, with the SegmentRun: segmentationNode, report, error.
        Returns:
            The vtkMRMLSegmentationNode; without waiting a SegmentRun, with cancel(), isFinished and the fields above.
        Raises:
            ValueError: for input that cannot be segmented, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where a run that was waited for failed or was cancelled; nothing was written.
        """
        run = self.autoSegment.segment(
            volumeNode, model, roiNode, labels, recipe, segmentationNode, device, progressCallback, finishedCallback
        )
        if not waitForCompletion:
            return run
        self.engine.wait(lambda: run.isFinished)
        if run.error is not None:
            raise run.error
        return run.segmentationNode

    def segmentBatch(
        self, volumeNodes: Sequence, model: str, waitForCompletion: bool = True, finishedCallback=None, **arguments
    ):
        """Segment one volume after the other; one that fails does not stop the rest.

        >>> batch = logic.segmentBatch([volume1, volume2], model="hippocampus-mr")
        >>> batch.segmentationNodes, batch.errors       # lists as long as the input, None where there is nothing

        Args:
            volumeNodes: each as `volumeNode` of `segment`.
            model: as in `segment`.
            waitForCompletion: return only when all are done; else at once.
            finishedCallback: called once with the batch when all are done.
            arguments: roiNode, labels, recipe, device, progressCallback as in `segment`.
        Returns:
            A SegmentBatch: segmentationNodes, errors, isFinished, cancel().
        """
        from MedNeXtSegmentLib.Segment.SegmentBatch import SegmentBatch

        batch = SegmentBatch(self.autoSegment, volumeNodes, model, arguments, finishedCallback)
        batch.start()
        if waitForCompletion:
            self.engine.wait(lambda: batch.isFinished)
        return batch

    def segmentSequence(self, sequenceNode, model: str, waitForCompletion: bool = True, finishedCallback=None, **arguments):
        """Segment every volume of a sequence; the result is a sequence of segmentations with the same index values.

        >>> batch = logic.segmentSequence(sequenceNode, model="hippocampus-mr")
        >>> batch.outputSequenceNode

        Args:
            sequenceNode: vtkMRMLSequenceNode of scalar volumes.
            model, waitForCompletion, finishedCallback, arguments: as in `segmentBatch`.
        Returns:
            A SequenceBatch: outputSequenceNode (vtkMRMLSequenceNode; a frame that failed is missing), errors, isFinished, cancel().
        Raises:
            ValueError: for a sequence of anything but scalar volumes.
        """
        from MedNeXtSegmentLib.Segment.SegmentBatch import SequenceBatch

        batch = SequenceBatch(self.autoSegment, sequenceNode, model, arguments, finishedCallback)
        batch.start()
        if waitForCompletion:
            self.engine.wait(lambda: batch.isFinished)
        return batch

    def startRefinement(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter=None,
        onChanged: Callable | None = None,
        useDisplayedWindow: bool = True,
    ):
        """Correct a segment by points and boxes on any plane.

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
        Returns:
            A MedNeXtSegmentLib.Refine.RefineSession.RefineSession.
        Raises:
            ValueError: for nodes that cannot be used, in one sentence.
            RunFailure: (a RuntimeError) where the worker or the network cannot be started.
        """
        return self.refine.startRefinement(volumeNode, segmentationNode, segmentId, prompter, onChanged, useDisplayedWindow)

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
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
    ):
        """List the slices where a model is least sure of itself: the entropy of its probabilities over mirror images and folds.

        >>> run = logic.reviewSlices(volumeNode, model="hippocampus-mr", roiNode=roiNode)
        >>> [(item.segmentName, item.centerRAS, item.uncertainMm2) for item in run.slices]      # most uncertain first

        Args:
            volumeNode, model, roiNode, recipe, device: as in `segment`.
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
        run = self._withWorker(self.review).review(
            volumeNode, model, roiNode, recipe, device, count, progressCallback, finishedCallback
        )
        if waitForCompletion:
            self.review.wait(run)
        return run

    @staticmethod
    def _withWorker(logic):
        if logic is None:
            raise RuntimeError(_("This needs the worker process, and the module runs without one."))
        return logic

    def undo(self, segmentationNode) -> None:
        """Take back the last run into this segmentation; without one, nothing happens."""
        self.history.undo(segmentationNode)

    def redo(self, segmentationNode) -> None:
        """Bring back the run that was undone; without one, nothing happens."""
        self.history.redo(segmentationNode)
