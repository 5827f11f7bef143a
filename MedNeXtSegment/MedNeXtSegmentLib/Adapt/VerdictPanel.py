"""Section "Before and after": what the gate says of the new model, the figures, and the way into the library."""

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from mednextseg.models.adaptable import has_shape_priors
from mednextseg.models.model_card import read_card
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Adapt.PriorsLogic import PriorsLogic, PriorsRun
from MedNeXtSegmentLib.Widgets.Tables import asChoice, fitHeight

_HEIGHT_PX = 220
_NOTHING = "\u2013"


class VerdictPanel:
    """Shows a finished adaptation.

    Args:
        ui: widgets of Adapt.ui.
        priors: shows the shape priors of a model that has some.
        install: as ModelsLogic.importModel.
        onInstalled: called with the id of the new model, empty for a candidate: that one does not take the base's place.
        showStatus: shows one sentence.
    """

    def __init__(
        self,
        ui,
        priors: PriorsLogic,
        install: Callable,
        onInstalled: Callable[[str], None],
        showStatus: Callable[[str], None],
    ) -> None:
        self._ui, self._priors, self._install, self._onInstalled, self._showStatus = (
            ui,
            priors,
            install,
            onInstalled,
            showStatus,
        )
        self._run: AdaptRun | None = None
        self._isAsked = False
        headers = [_("Label"), _("Dice\nbefore"), _("after"), _("change\n(95 % interval)"), _("Surface\nDice"), _("HD95\n[mm]")]
        asChoice(ui.gateTable, headers, _HEIGHT_PX)
        ui.gateTable.setSelectionMode(qt.QAbstractItemView.NoSelection)
        ui.installButton.clicked.connect(lambda *_args: self._onInstall())
        ui.priorsButton.clicked.connect(lambda *_args: self._onPriors())
        self.show(None)

    def show(self, run: AdaptRun | None) -> None:
        """Fill the section; None empties and hides it."""
        self._run, self._isAsked = run, False
        self._ui.verdictSection.setVisible(run is not None)
        rows = [] if run is None else run.outcome["rows"]
        self._ui.gateTable.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._fill(number, row)
        self._ui.gateTable.resizeRowsToContents()
        fitHeight(self._ui.gateTable, _HEIGHT_PX)
        self._ui.verdictLabel.setText("" if run is None else verdictText(run.outcome))
        self._ui.priorsButton.setVisible(run is not None and has_shape_priors(read_card(run.package)))
        self._updateButton()

    def _fill(self, number: int, row: dict) -> None:
        label = _("{label} (new)").format(label=row["label"]) if row["is_new"] else row["label"]
        texts = [label, _number(row["before"], "dice"), _number(row["after"], "dice"), _change(row["change"]["dice"])]
        texts += [f"{_number(row['before'], key)}\n\u2192 {_number(row['after'], key)}" for key in ("nsd", "hd95_mm")]
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            if column:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._ui.gateTable.setItem(number, column, item)

    def _onInstall(self) -> None:
        """A candidate is installed by a second click: a question without a pop-up."""
        if not self._run.isAccepted and not self._isAsked:
            self._isAsked = True
            self._showStatus(_("The gate holds this model back; press once more to install it all the same, beside its base."))
            self._updateButton()
            return
        self._isAsked = False
        self._ui.installButton.enabled = False
        try:  # its license is the base's, which was accepted there
            self._install(str(self._run.package), acceptLicense=True, finishedCallback=self._onFinished)
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
            self._updateButton()

    def _onPriors(self) -> None:
        """Show them; the button waits until they are there."""
        self._ui.priorsButton.enabled = False
        try:
            self._priors.show(self._run.package, self._onPriorsShown)
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
            self._ui.priorsButton.enabled = True

    def _onPriorsShown(self, run: PriorsRun) -> None:
        self._ui.priorsButton.enabled = True
        shown = _("{count} volumes were added to the scene: where the model expects each class in its window.")
        self._showStatus(shown.format(count=len(run.volumes)) if run.error is None else str(run.error))

    def _onFinished(self, installing) -> None:
        self._updateButton()
        if installing.error is not None:
            self._showStatus(str(installing.error))
            return
        answer = installing.answer
        self._showStatus(_("{model} {version} is installed.").format(model=answer["model"], version=answer["version"]))
        self._onInstalled(answer["model"] if self._run is not None and self._run.isAccepted else "")

    def _updateButton(self) -> None:
        button, isAccepted = self._ui.installButton, self._run is not None and self._run.isAccepted
        button.enabled = self._run is not None
        button.setText(_("Install all the same") if self._isAsked else _("Install"))
        accepted = _("Install the new model and choose it in the Segment tab; the base stays installed, too.")
        button.setToolTip(accepted if isAccepted else _("Install a candidate; you are asked once more."))


def verdictText(outcome: dict) -> str:
    """The verdict, its reasons, and of whom the figures are."""
    begin = _("Accepted: the new model may take the place of its base.")
    if not outcome["accepted"]:
        begin = " ".join([_("Kept as a candidate."), *outcome["reasons"]])
    cases = _("{count} cases, {explanation}.").format(count=len(outcome["cases"]), explanation=outcome["explanation"])
    return "\n".join([begin, cases, *_remembered(outcome), *outcome["notes"]])


def _remembered(outcome: dict) -> list[str]:
    """One line on the base's own cases, where its package carries some."""
    rows = outcome["reference_rows"]
    if not rows:
        return []
    pairs = ", ".join(f"{row['label']} {_number(row['before'], 'dice')} \u2192 {_number(row['after'], 'dice')}" for row in rows)
    count = len(outcome["reference_cases"])
    return [_("Dice on {count} cases that the base carries: {pairs}.").format(count=count, pairs=pairs)]


def _number(means: dict, key: str) -> str:
    if key not in means or means[key]["mean"] is None:
        return _NOTHING
    return f"{means[key]['mean']:.{1 if key == 'hd95_mm' else 3}f}"


def _change(change: dict) -> str:
    if change["mean"] is None:
        return _NOTHING
    return f"{change['mean']:+.3f}\n({change['low']:+.3f} \u2026 {change['high']:+.3f})"
