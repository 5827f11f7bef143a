"""The slider between "faster" and "every window": seconds before a run, what was looked at after it."""

from collections.abc import Callable

from slicer.i18n import tr as _

from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Widgets.Texts import durationText

# Above so many seconds a run over every window is worth an offer of something faster.
_LONG_S = 10


class BudgetPanel:
    """The slider itself is bound to the parameter "budget".

    Args:
        ui: widgets of Segment.ui.
        onShow: called when the user wants to see what the last run skipped.
    """

    def __init__(self, ui, onShow: Callable[[], None]) -> None:
        self._ui = ui
        ui.skippedLabel.linkActivated.connect(lambda *_args: onShow())
        self.showPlan(None, None)
        self.showRun(None)

    def showPlan(self, plan: dict | None, secondsAPass: float | None) -> None:
        """What a run would take with the budget as it is.

        Args:
            plan: of the worker (RunPlan as JSON values); None while there is none.
            secondsAPass: how fast such runs were; None for not yet known.
        """
        isChoice = plan is None or plan["first_look_passes"] < plan["every_window_passes"]
        self._ui.budgetSlider.enabled = isChoice
        self._ui.budgetSlider.toolTip = (
            _meaningOf("coarse" if plan is None else plan["window_policy"])
            if isChoice
            else _("So few windows cover this volume that none can be left out.")
        )
        self._ui.budgetTimeLabel.setText("" if plan is None else _timeText(plan, secondsAPass, isChoice))

    def showRun(self, run: SegmentRun | None) -> None:
        """Say how much a finished run has looked at; nothing where that was all, or for None."""
        windows = run.report["windows"] if run is not None and run.skipMap_kji is not None else None
        self._ui.skippedLabel.setVisible(windows is not None)
        if windows is not None:
            lookedAt = windows["full"] + windows["crop"] + windows["other"]
            text = _("{count} of {total} windows looked at; {link}show what was skipped{end}.")
            total = lookedAt + windows["skip"]
            self._ui.skippedLabel.setText(text.format(count=lookedAt, total=total, link='<a href="skipped">', end="</a>"))


def _meaningOf(policy: str) -> str:
    """What a smaller budget means, by the policy that chooses the windows."""
    if policy == "dynamic":
        return _("How many windows are looked at. A policy that was trained for this model skips or crops the others.")
    if policy == "bank":
        return _("How many windows this model looks at. The others are left to cheaper models with the same labels.")
    return _(
        "How many windows are looked at. Everything is looked at once; around what is found, every window is looked at in any case."
    )


def _timeText(plan: dict, secondsAPass: float | None, isChoice: bool) -> str:
    passes, every, least = plan["forward_passes"], plan["every_window_passes"], plan["first_look_passes"]
    if secondsAPass is None:
        return _("{count} of {total} windows").format(count=passes, total=every) if passes < every else ""
    duration = durationText(secondsAPass * passes)
    if passes < every:
        return _("from {duration}, not {full}").format(duration=duration, full=durationText(secondsAPass * every))
    if isChoice and secondsAPass * every > _LONG_S:
        return _("{duration}; faster from {least}").format(duration=duration, least=durationText(secondsAPass * least))
    return duration
