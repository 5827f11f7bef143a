"""What scripts and the Python console call to adapt a model: cases are collected, and teach it.

Slicer imports this file when it starts; what it needs is imported with the first call.
"""

from collections.abc import Callable, Sequence


class AdaptCalls:
    """A part of MedNeXtSegmentLogic, whose attributes `adaptation`, `priors`, `collection` and `refine` it uses."""

    def adapt(
        self,
        model: str,
        cases: Sequence[tuple] | str = (),
        method: str = "all",
        minutes: float | None = None,
        folder=None,
        collected: Sequence = (),
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
        **options,
    ):
        """Teach a model cases of the scene, and measure it before and after on cases that it did not learn from.

        >>> run = logic.adapt("hippocampus-mr", [(volume1, segmentation1), (volume2, segmentation2)], minutes=20)
        >>> run = logic.adapt("hippocampus-mr", collected=logic.collectedCases())
        >>> print(run.table, run.isAccepted, run.package)

        Segments are matched with the model's labels by name. The same call goes on where an earlier one was stopped.

        Args:
            model: id of an installed model, or the folder of one.
            cases: (volume node, segmentation node); for a model of several channels a list of volume nodes;
                or the path of a folder of cases, as docs/adapt.md says. Two at the least, collected ones included.
            collected: cases that were collected before, as `collectedCases` gives them; they come to the others.
            method: "all" trains the whole network, "head" its last layer; all of them in mednextseg.models.tuning_choices.
            minutes: of training in all; 10 where neither they nor `steps` are given.
            folder: for checkpoints, curves, report and package; None for one in the module's home folder.
            waitForCompletion: return only when it is over; the event loop keeps running.
            progressCallback: called with the run: progress.phase, progress.fraction, progress.seconds_left.
            finishedCallback: called once with the run, when it is over.
            options: loss, sampling, steps, same, held_out, tolerated_loss, seed, model_id, device, unlabeled (a folder of volumes to
                pre-train on), pretraining_steps; see TuningOptions in mednextseg.adapt.tuning.options. In place of cases: pairs of
                images without labels, a list of (known volume node, new volume node) or a folder of them, and registered=False where
                they are to be registered.
        Returns:
            A MedNeXtSegmentLib.Adapt.AdaptRun.AdaptRun: outcome, table, isAccepted, package, error, isFinished, cancel().
        Raises:
            ValueError: for cases or a model that cannot be used, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where a run that was waited for failed or was cancelled; a later call goes on with it.
        """
        wanted = {"method": method, **options, **({} if minutes is None else {"minutes": minutes})}
        logic = self._withWorker(self.adaptation)
        run = logic.adapt(model, cases, wanted, folder, progressCallback, finishedCallback, collected)
        if waitForCompletion:
            logic.wait(run)
        return run

    def adaptCurves(
        self,
        model: str,
        cases: Sequence[tuple] | str = (),
        shots: Sequence[int] = (1, 2),
        methods: Sequence[str] = ("head", "all"),
        steps: int = 100,
        folder=None,
        collected: Sequence = (),
        leaveOneOut: bool = False,
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
        **options,
    ):
        """Train every method on one, two, ... of the cases and measure each on the same held-out ones: accuracy beside cost, as one page.

        >>> run = logic.adaptCurves("hippocampus-mr", cases, shots=[1, 3], methods=["head", "adapters", "all"], steps=50)
        >>> print(run.table, run.page)

        Args:
            model, cases, folder, collected, waitForCompletion, progressCallback, finishedCallback, options: as of `adapt`.
            shots: numbers of cases to learn from.
            methods: names of mednextseg.models.tuning_choices.METHODS.
            steps: of each training.
            leaveOneOut: hold out each case once, so that few cases are all measured; as many trainings as cases.
        Returns:
            A MedNeXtSegmentLib.Adapt.AdaptRun.AdaptRun: page, table, outcome["cells"], error, isFinished, cancel().
        Raises:
            ValueError, RunFailure: as `adapt`; a later call goes on with what was trained.
        """
        wanted = {**options, "shots": list(shots), "methods": list(methods), "steps": steps}
        wanted |= {"leave_one_out": True} if leaveOneOut else {}
        logic = self._withWorker(self.adaptation)
        run = logic.adapt(model, cases, wanted, folder, progressCallback, finishedCallback, collected)
        if waitForCompletion:
            logic.wait(run)
        return run

    def showShapePriors(self, model: str, waitForCompletion: bool = True, finishedCallback: Callable | None = None):
        """Show what a model learned of where its structures lie in a window: a volume for each class, around the origin.

        >>> run = logic.adapt("hippocampus-mr", cases, method="shape-priors", minutes=20)
        >>> logic.showShapePriors(run.package).volumes

        Args:
            model: id of an installed model, or the folder of one.
            waitForCompletion: return only when the volumes are in the scene; the event loop keeps running.
            finishedCallback: called once with the run, when it is over.
        Returns:
            A MedNeXtSegmentLib.Adapt.PriorsLogic.PriorsRun: volumes (the background's first), error, isFinished.
        Raises:
            RunFailure: (a RuntimeError) where it was waited for and failed, as for a model without shape priors.
        """
        logic = self._withWorker(self.priors)
        run = logic.show(model, finishedCallback)
        if waitForCompletion:
            logic.wait(run)
        return run

    def collectCase(
        self, volumeNode, segmentationNode, waitForCompletion: bool = True, finishedCallback: Callable | None = None
    ):
        """Keep a volume and its corrected segmentation on this computer, to adapt a model with it some day.

        >>> logic.collectCase(volumeNode, segmentationNode)
        >>> logic.adapt("hippocampus-mr", collected=logic.collectedCases())

        Kept are voxels, segments, the journals of the clicks of this session, and which model made the segments. Nothing leaves the
        computer; a case of the same volume is replaced.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode; a list of them for a model of several channels, in the order of the model card.
            segmentationNode: vtkMRMLSegmentationNode whose segments do not overlap.
            waitForCompletion: return only when it is written; the event loop keeps running.
            finishedCallback: called once with the run, when it is over.
        Returns:
            A MedNeXtSegmentLib.Adapt.CollectLogic.CollectRun: case, error, isFinished.
        Raises:
            ValueError: for nodes that cannot be collected, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where it was waited for and failed, as on a full disk; an older case is then as it was.
        """
        logic = self._withWorker(self.collection)
        volumeNodes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        journals = [journal.to_json() for journal in self.refine.journalsOf(segmentationNode)]
        run = logic.collect(volumeNodes, segmentationNode, journals, finishedCallback)
        if waitForCompletion:
            logic.wait(run)
        return run

    def collectedCases(self) -> list:
        """The collected cases (mednextseg.cases.collected.CollectedCase) that are whole, the newest last.

        >>> [(case.id, case.name, case.labels) for case in logic.collectedCases()]
        """
        from mednextseg.cases.collected import collected_cases

        return collected_cases()[0]

    def removeCollectedCase(self, case) -> None:
        """Delete a collected case, one of `collectedCases` or its id; ValueError or OSError, in one sentence, where it cannot be."""
        from mednextseg.cases.collected import remove_case

        remove_case(case if isinstance(case, str) else case.id)
