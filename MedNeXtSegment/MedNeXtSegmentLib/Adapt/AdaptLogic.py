"""Cases of the scene teach a model. No widgets; a worker of its own computes, at low priority."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from mednextseg.cases.collected import CollectedCase
from mednextseg.machine import home_folder
from mednextseg.models.library import find_model
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Adapt.PairRegistration import PairRegistration
from MedNeXtSegmentLib.Adapt.SentCase import sentCase
from MedNeXtSegmentLib.Adapt.SentPair import sentPairs
from MedNeXtSegmentLib.Scene.RigidRegistration import canRegister
from MedNeXtSegmentLib.Scene.Volumes import channelsOf
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic


class AdaptLogic(WorkerRunLogic):
    """Starts adaptations, so that Slicer stays responsive and one can be stopped and gone on with.

    Args:
        worker: its own, which ends with it.
    """

    def close(self) -> None:
        """End what runs, its checkpoint aside, and the worker."""
        super().close()
        self._worker.stop()

    def restartWorker(self) -> None:
        """Start the worker anew before the next run, on the computer that is chosen then; one that has a run is left alone."""
        if not self.runs:
            self._worker.stop()

    def adapt(
        self,
        model: str,
        cases: Sequence[tuple] | str | Path,
        options: dict | None = None,
        folder: str | Path | None = None,
        progressCallback: Callable[[AdaptRun], None] | None = None,
        finishedCallback: Callable[[AdaptRun], None] | None = None,
        collected: Sequence[CollectedCase] = (),
    ) -> AdaptRun:
        """Start.

        Args:
            model: id or folder of the base.
            cases: (volume node, or a list of one for each channel; segmentation node) of each case; or a folder
                of cases (docs/adapt.md).
            options: "method", "loss", "sampling", "minutes", "steps", "same", "held_out", "tolerated_loss", "seed", "model_id", "device";
                "unlabeled", "pretraining_steps"; "shots", "methods" and "leave_one_out" for curves; in place of cases "pairs" without
                labels, a folder or (known, new) volume nodes, and "registered"; where that is False, Slicer's BRAINSFit registers nodes if
                it is there.
            folder: of the adaptation; None for one that the same cases find again.
            progressCallback: called with the run after each report.
            finishedCallback: called once, with the run, when it is over.
            collected: cases that come to those.
        Raises:
            ValueError: for nodes or a model that cannot be used, in one sentence; nothing was started.
            RuntimeError: where the disk has no room for a volume.
        """
        card, asked = read_card(find_model(model)), dict(options or {})
        pairs = asked.pop("pairs", None)
        if pairs and (cases or collected):
            raise ValueError(_("Give pairs of images or cases with labels, not both."))
        names, sent = _sentPairs(pairs, card) if pairs else _sent(cases, collected, card)
        kind = "curves" if "shots" in asked else "adapted"
        place = Path(folder) if folder is not None else usualFolder(card, names, kind)
        run = AdaptRun(self._worker, place, progressCallback, finishedCallback)
        parameters = {"model": model, "target": str(place), **sent, **asked}
        if asked.get("registered") is False and "image_pairs" in sent and canRegister():
            self._registerFirst(run, pairs, {**parameters, "registered": True})
        else:
            self._begin(run, "adapt", parameters, lambda value: self._deliver(run, value))
        return run

    def wait(self, run: AdaptRun) -> None:
        while run.registration is not None:  # the worker knows nothing of it yet
            slicer.app.processEvents()
        super().wait(run)

    def _registerFirst(self, run: AdaptRun, pairs: Sequence[tuple], parameters: dict) -> None:
        """Begin once Slicer has registered the images of each pair; the worker then gets the known ones where they lie on the new ones."""

        def onRegistered(movements: list | str) -> None:
            run.registration = None
            if run.isCancelRequested or isinstance(movements, str):
                self._end(run, runCancelled() if run.isCancelRequested else RunFailure(protocol.INVALID_INPUT, movements))
                return
            for pair, movement in zip(parameters["image_pairs"], movements, strict=True):
                pair["known"] = [(movement @ matrix).tolist() for matrix in pair["known"]]
            try:
                self._ask(run, "adapt", parameters, lambda value: self._deliver(run, value))
            except (ValueError, RuntimeError) as error:
                self._end(run, RunFailure(protocol.INVALID_INPUT, str(error)))

        self.runs.append(run)
        run.registration = PairRegistration(pairs, run, onRegistered)
        run.registration.start()

    def _deliver(self, run: AdaptRun, value: dict) -> None:
        run.outcome = value
        self._end(run)


def _sentPairs(pairs: str | Path | Sequence[tuple], card: ModelCard) -> tuple[list[str], dict]:
    """The names of all pairs, and the parameters that describe them."""
    return ([str(pairs)], {"pairs": str(pairs)}) if isinstance(pairs, str | Path) else sentPairs(pairs, card)


def _sent(cases: Sequence[tuple] | str | Path, collected: Sequence[CollectedCase], card: ModelCard) -> tuple[list[str], dict]:
    """The names of all cases, collected ones included, and the parameters that describe them."""
    if isinstance(cases, str | Path):
        names, sent = [str(cases)], {"dataset": str(cases)}
    else:
        if len(cases) + len(collected) < 2:
            raise ValueError(_("Give two cases at the least, better five: one alone cannot be learned from and tested on."))
        names, sent = _sentCases(cases, card)
    if collected:
        names += [case.full_name for case in collected]
        sent["collected"] = [case.id for case in collected]
    return names, sent


def _sentCases(cases: Sequence[tuple], card: ModelCard) -> tuple[list[str], dict]:
    """The names of all cases, and the parameters that describe them."""
    described, arrays = [], {}
    for number, (volumes, segmentationNode) in enumerate(cases):
        volumeNodes = list(volumes) if isinstance(volumes, list | tuple) else [volumes]
        if segmentationNode is None:
            raise ValueError(_("Case {number} has no segmentation; choose one.").format(number=number + 1))
        case, own = sentCase(number, volumeNodes[0].GetName(), channelsOf(volumeNodes, card), segmentationNode)
        described.append(case)
        arrays.update(own)
    return [case["name"] for case in described], {"cases": described, **arrays}


def usualFolder(card: ModelCard, names: list[str], kind: str = "adapted") -> Path:
    """The same for the same model and cases, also after a restart."""
    return home_folder() / kind / f"{card.id}-{zlib.crc32(repr(names).encode()):08x}"
