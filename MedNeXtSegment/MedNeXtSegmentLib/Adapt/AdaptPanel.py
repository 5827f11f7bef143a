"""The Adapt tab: cases, what to start from, how long; then the curves, and whether the new model is better."""

import html
import time
from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from mednextseg.json_values import listed
from mednextseg.models.adaptable import why_not_adapted
from mednextseg.models.model_card import ModelCard
from mednextseg.models.tuning_choices import METHODS
from MedNeXtSegmentLib.Adapt.AdaptLogic import AdaptLogic, usualFolder
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Adapt.CasesPanel import CasesPanel
from MedNeXtSegmentLib.Adapt.CollectedPanel import CollectedPanel
from MedNeXtSegmentLib.Adapt.CollectLogic import CollectLogic
from MedNeXtSegmentLib.Adapt.CurvesPicture import curvesPixmap
from MedNeXtSegmentLib.Adapt.MorePanel import MorePanel
from MedNeXtSegmentLib.Adapt.PriorsLogic import PriorsLogic
from MedNeXtSegmentLib.Adapt.TrainingChoices import TrainingChoices
from MedNeXtSegmentLib.Adapt.TrainingFolder import curvesIn, plannedSteps
from MedNeXtSegmentLib.Adapt.VerdictPanel import VerdictPanel
from MedNeXtSegmentLib.Widgets.FileDialogs import folderPath
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel
from MedNeXtSegmentLib.Widgets.ProgressRow import ProgressRow
from MedNeXtSegmentLib.Widgets.Texts import timeText


class AdaptPanel(NodePanel):
    """Shows the Adapt tab and starts its trainings; one goes on when the module is left or the scene is closed.

    Args:
        widget: loaded from Adapt.ui.
        logic: gives the AdaptLogic; asked when it is needed, since it has a worker of its own.
        models: gives the cards of the installed models.
        collection: lists and removes collected cases.
        priors, install, onInstalled: see VerdictPanel.
        whatIsMissing: says in one sentence why this computer cannot compute; empty where it can.
    """

    def __init__(
        self,
        widget,
        logic: Callable[[], AdaptLogic],
        models: Callable[[], list[ModelCard]],
        collection: CollectLogic,
        priors: PriorsLogic,
        install: Callable,
        onInstalled: Callable[[str], None],
        whatIsMissing: Callable[[], str],
    ) -> None:
        super().__init__(slicer.util.childWidgetVariables(widget))
        widget.setMRMLScene(slicer.mrmlScene)
        self._logic, self._models, self._whatIsMissing = logic, models, whatIsMissing
        self._cards: dict[str, ModelCard] = {}
        self.run: AdaptRun | None = None
        self._started, self._isUpdating = 0.0, False
        self.cases = CasesPanel(self.ui)
        self.collected = CollectedPanel(self.ui, collection.cases, collection.remove, self._showStatus)
        self.verdict = VerdictPanel(self.ui, priors, install, onInstalled, self._showStatus)
        toolTips = _("Teach the model these cases, and measure it before and after."), _("Stop; Start goes on from there.")
        self.progress = ProgressRow(self.ui.startButton, self.ui.progressBar, *toolTips, self._start, self._onStop)
        self.more = MorePanel(self.ui, self.chooseFolder)
        self.choices = TrainingChoices(self.ui, lambda: bool(self.more.pairs))
        self.ui.curvesButton.clicked.connect(lambda *_args: self._begin(self._curveOptions()))
        self.ui.modelSelector.currentIndexChanged.connect(lambda *_args: self._onChosen())
        for button, edit in ((self.ui.datasetButton, self.ui.datasetEdit), (self.ui.folderButton, self.ui.folderEdit)):
            button.clicked.connect(lambda *_args, edit=edit: edit.setText(self.chooseFolder() or edit.text))
        self._showCurves(None)
        self.reloadModels()

    def close(self) -> None:
        """Let go of the scene and end what runs; its checkpoint stays."""
        self.setParameterNode(None)
        if self.run is not None:
            self._logic().abandon(self.run)

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters; None unbinds them. What runs goes on."""
        super().setParameterNode(parameterNode)
        self.cases.setParameterNode(parameterNode)
        self.collected.setParameterNode(parameterNode)
        self.choices.setParameterNode(parameterNode)
        self.more.setParameterNode(parameterNode)
        self.update()

    def reloadModels(self) -> None:
        """Read the installed models again; those that cannot be adapted stand in the tooltip, with the reason."""
        reasons = [(card, why_not_adapted(card)) for card in self._models()]
        self._cards = {card.id: card for card, reason in reasons if not reason}
        self._isUpdating = True
        self.ui.modelSelector.clear()
        for card in self._cards.values():
            self.ui.modelSelector.addItem(card.title, card.id)
        self._isUpdating = False
        lines = [
            _("The model that learns; itself it is not changed."),
            *(f"{card.title}: {why}" for card, why in reasons if why),
        ]
        self.ui.modelSelector.setToolTip("\n".join(lines))
        self.update()

    @property
    def card(self) -> ModelCard | None:
        """Of the model to start from; None where none is chosen, or where it is not installed on this computer."""
        return None if self._parameterNode is None else self._cards.get(self._parameterNode.adaptModelId)

    def chooseFolder(self) -> str:
        """Ask for a folder; empty for none."""
        return folderPath(self.ui.startButton.window(), _("Choose a folder"))

    def update(self) -> None:
        """Show what the parameters say, and enable what can be done."""
        parameters = self._parameterNode
        if parameters is None or self._isUpdating:
            return
        self._isUpdating = True
        self.ui.modelSelector.setCurrentIndex(self.ui.modelSelector.findData(parameters.adaptModelId))
        self.choices.update()
        self.cases.update(self.card)
        self.collected.update(self.card)
        self.more.update()
        self._isUpdating = False
        self._showSteps()
        self.progress.setRunning(self.run is not None)
        missing = self._missing()
        self.progress.setReady(missing)
        if self.more.pairs:
            missing = missing or _("Methods are compared on cases with labels; pairs of images have none.")
        self.ui.curvesButton.enabled = self.run is None and not missing
        self.ui.curvesButton.setToolTip(missing or _("Which way for how many cases: each is trained for these minutes."))

    def _curveOptions(self) -> dict:
        """What makes curves of a training: every way that the usual ones are compared by, on as many cases as there are."""
        usual = [
            name for name in ("head", "adapters", "all") if self.card.family == "mednext" or not METHODS[name].is_for_mednext
        ]
        options = {"shots": [], **self.choices.options(dict.fromkeys([*usual, self._parameterNode.adaptMethod]))}
        return {**options, "leave_one_out": True} if self._parameterNode.adaptLeaveOneOut else options

    def _start(self) -> None:
        self._begin(self.choices.options() | ({"pairs": self.more.pairs} if self.more.pairs else {}))

    def _begin(self, options: dict) -> None:
        parameters = self._parameterNode
        options = {**options, **self.more.options(), "tolerated_loss": parameters.adaptToleratedLoss}
        if parameters.device.startswith("cuda"):
            options["device"] = parameters.device
        self.verdict.show(None)
        self._started = time.monotonic()
        try:
            wanted = self.card.id, self._wanted(), options, self._folder()
            self.run = self._logic().adapt(*wanted, self._onProgress, self._onFinished, self.collected.checked)
            self._showStatus(_("Starting..."))
            self._showCurves(self.run.folder)
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
        self.update()

    def _onStop(self) -> None:
        self._showStatus(_("Stopping; what was learned is being saved..."))
        self.run.cancel()

    def _onProgress(self, run: AdaptRun) -> None:
        self.progress.show(run.fraction)
        if not self.progress.isStopping:
            times = timeText(time.monotonic() - self._started, run.progress.seconds_left)
            self._showStatus(f"{run.progress.phase}; {times}")
        self._showSteps()
        self._showCurves(run.folder)

    def _onFinished(self, run: AdaptRun) -> None:
        self.run = None
        if run.isCancelRequested:
            self._showStatus(_("Stopped; Start goes on from there."))
        elif run.error is not None:
            self._showStatus(str(run.error))
        else:
            self._showCurves(run.folder)
            self.verdict.show(None if run.page else run)
            self._showStatus(
                _pageText(run.page) if run.page else _("Done; everything is in {folder}.").format(folder=run.folder)
            )
        self.progress.setRunning(False)
        self.update()

    def _onChosen(self) -> None:
        if self._isUpdating or self._parameterNode is None:
            return
        self._parameterNode.adaptModelId = self.ui.modelSelector.currentData or ""

    def _wanted(self) -> list[tuple] | str:
        """The cases of the scene, or the folder of those that lie on the disk."""
        return self._parameterNode.adaptDataset.strip() or self.cases.cases

    def _folder(self) -> Path | None:
        """The chosen one; None for the one that the same cases find again."""
        text = self._parameterNode.adaptFolder.strip()
        return Path(text).expanduser() if text else None

    def _missing(self) -> str:
        """What is missing before Start can be pressed, in one sentence; empty where nothing is."""
        wanted = self._wanted()
        if self.card is None:
            return _("Choose a model to start from.")
        checked = self.collected.checked
        if self.more.pairs:
            if wanted or checked:
                return _("Pairs of images are learned in place of cases: remove the pairs in section More, or all cases.")
            return self.more.missing(len(self.card.channels)) or self._whatIsMissing()
        if isinstance(wanted, list) and len(wanted) + len(checked) < 2:
            return _("Add two cases at the least, better five, or choose a folder of cases.")
        if other := [case.name for case in checked if case.channels != len(self.card.channels)]:
            return _("{names} has another number of volumes than the model needs; uncheck it.").format(names=listed(other))
        if isinstance(wanted, list) and wanted and len(self.card.channels) > 1:
            text = _("This model needs {count} volumes of each case; choose a folder of cases, where they lie side by side.")
            return text.format(count=len(self.card.channels))
        return self.choices.missing(self.card) or self._whatIsMissing()

    def _showSteps(self) -> None:
        """Those of the plan in the folder, where there is one; else that they are still to be worked out."""
        steps = None
        if self.run is not None:
            steps = plannedSteps(self.run.folder)
        elif self.card is not None:
            wanted = self._wanted()
            names = [wanted] if isinstance(wanted, str) else [volumeNode.GetName() for volumeNode, _node in wanted]
            names += [case.full_name for case in self.collected.checked]
            if pairs := self.more.pairs:
                names = [pairs] if isinstance(pairs, str) else [newNode.GetName() for _known, newNode in pairs]
            steps = plannedSteps(self._folder() or usualFolder(self.card, names))
        unknown = _("steps: known once a few are timed")
        self.ui.stepsLabel.setText(unknown if steps is None else _("{count} steps a training").format(count=steps))

    def _showCurves(self, folder: Path | None) -> None:
        """Those of the folder; None shows none."""
        curves = [] if folder is None else curvesIn(folder)
        self.ui.curvesLabel.setVisible(bool(curves))
        if curves:
            self.ui.curvesLabel.setPixmap(curvesPixmap(curves, self.ui.progressBar.width))

    def _showStatus(self, text: str) -> None:
        self.ui.statusLabel.setText(text)


def _pageText(page: Path) -> str:
    """With a link that opens the page."""
    return _("Done; the curves are on {page}.").format(page=f'<a href="{page.as_uri()}">{html.escape(str(page))}</a>')
