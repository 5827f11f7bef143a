"""The gate: before and after on cases that nothing was learned from; a model that got worse anywhere is only a candidate."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from mednextseg.evaluate.case import CaseResult
from mednextseg.evaluate.report.summary import LOWER_IS_BETTER, Mean, bootstrap_mean, label_names, metric_table
from mednextseg.json_values import listed

METRICS = ("dice", "nsd", "hd95_mm")
TOLERATED_LOSS = 0.01
# A label that the base does not have cannot lose; it must be found at all.
LEAST_DICE_OF_NEW = 0.5


@dataclass(frozen=True)
class GateRow:
    """One label, or the mean over all.

    Attributes:
        is_new: the base does not have it, so that `before` is that of finding nothing.
        before, after: metric -> mean over the cases.
        change: metric -> after minus before, case by case, with its 95 % interval.
    """

    label: str
    is_new: bool
    before: dict[str, Mean]
    after: dict[str, Mean]
    change: dict[str, Mean]


@dataclass(frozen=True)
class GateOutcome:
    """What the gate says.

    Attributes:
        accepted: whether the new model may take the base's place.
        reasons: one sentence for each rule that it breaks; empty where it is accepted.
        rows: labels, then the mean over them.
        cases: that were measured.
        reference_rows, reference_cases: the same of the base's own reference cases, with the labels that were kept; empty without them.
    """

    accepted: bool
    reasons: tuple[str, ...]
    rows: tuple[GateRow, ...]
    cases: tuple[str, ...]
    reference_rows: tuple[GateRow, ...] = ()
    reference_cases: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """For people."""
        return "accepted" if self.accepted else "kept as a candidate"

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return {"verdict": self.verdict, **asdict(self)}


def judge(
    before: Sequence[CaseResult],
    after: Sequence[CaseResult],
    new_labels: Collection[str] = (),
    tolerated_loss: float = TOLERATED_LOSS,
    doubts: Sequence[str] = (),
    references: tuple[Sequence[CaseResult], Sequence[CaseResult]] = ((), ()),
) -> GateOutcome:
    """Compare two models on the same cases.

    Accepted where the mean Dice over all labels gains, no label loses more than `tolerated_loss`, there or on the base's own reference
    cases, and every label that the base does not have reaches a Dice of 0.5.

    Args:
        before, after: results of the same cases, in the same order.
        new_labels: names of the labels that the base does not have.
        doubts: sentences on the cases themselves, any of which holds the model back.
        references: before and after on the base's own reference cases; both empty where it carries none.
    Raises:
        ValueError: where the cases differ, or nothing was compared.
    """
    rows, mean = _rows(before, after, new_labels)
    known, _ = _rows(*references, ()) if references[0] else ([], None)
    reasons = [*_reasons(rows, mean, tolerated_loss), *_lost(known, tolerated_loss, " on the base's own cases"), *doubts]
    shown = (*rows, mean) if len(rows) > 1 else tuple(rows)
    cases, known_cases = (tuple(result.case for result in results) for results in (after, references[1]))
    return GateOutcome(not reasons, tuple(reasons), shown, cases, tuple(known), known_cases)


def _rows(
    before: Sequence[CaseResult], after: Sequence[CaseResult], new_labels: Collection[str]
) -> tuple[list[GateRow], GateRow]:
    """Those of the labels, and that of the mean over them."""
    if [result.case for result in before] != [result.case for result in after]:
        raise ValueError("before and after must be measured on the same cases, in the same order.")
    names = label_names(after)
    if not names:
        raise ValueError("no label could be compared on the held-out cases; hold out cases in which structures are drawn.")
    rows = [_row(name, [name], name in new_labels, before, after) for name in names]
    return rows, _row("mean", names, False, before, after)


def _row(label: str, names: Sequence[str], is_new: bool, before: Sequence[CaseResult], after: Sequence[CaseResult]) -> GateRow:
    tables = {m: (metric_table(before, m, names), metric_table(after, m, names)) for m in METRICS}
    if len(names) > 1:
        del tables["hd95_mm"]  # of structures of different size, it does not add up
    return GateRow(
        label,
        is_new,
        {metric: bootstrap_mean(old) for metric, (old, _) in tables.items()},
        {metric: bootstrap_mean(new) for metric, (_, new) in tables.items()},
        {metric: bootstrap_mean(new - old) for metric, (old, new) in tables.items()},
    )


def _reasons(rows: Sequence[GateRow], mean: GateRow, tolerated_loss: float) -> list[str]:
    reasons = _lost(rows, tolerated_loss)
    if not mean.change["dice"].mean > 0:
        reasons.append(
            f"The mean Dice does not gain ({mean.before['dice'].mean:.3f} before, {mean.after['dice'].mean:.3f} after)."
        )
    weak = [row for row in rows if row.is_new and row.after["dice"].mean < LEAST_DICE_OF_NEW]
    if weak:
        found = listed(f"{row.label} {row.after['dice'].mean:.3f}" for row in weak)
        reasons.append(f"New labels that stay below a Dice of {LEAST_DICE_OF_NEW:g}: {found}.")
    return reasons


def _lost(rows: Sequence[GateRow], tolerated_loss: float, where: str = "") -> list[str]:
    lost = [row for row in rows if row.change["dice"].mean < -tolerated_loss]
    by = listed(f"{row.label} by {-row.change['dice'].mean:.3f}" for row in lost)
    return [f"Labels that lose more Dice than {tolerated_loss:g}{where}: {by}."] if lost else []


def gate_table(outcome: GateOutcome) -> str:
    """The table as plain text, one line a label; a second one of the base's own cases, where it has some."""
    lines = _table(outcome.rows)
    if any(row.is_new for row in outcome.rows):
        lines.append("* new: the base does not have it")
    if outcome.reference_rows:
        lines += ["", f"The base's own cases: {listed(outcome.reference_cases)}", *_table(outcome.reference_rows)]
    return "\n".join(lines)


def _table(rows: Sequence[GateRow]) -> list[str]:
    width = max(len("label"), *(len(row.label) + (2 if row.is_new else 0) for row in rows))
    lines = [
        f"{'label':{width}s}  {'Dice before':>11s} {'after':>6s} {'change (95 % interval)':>24s} {'NSD':>13s} {'HD95 mm':>13s}"
    ]
    for row in rows:
        dice = row.change["dice"]
        change = f"{dice.mean:+.3f} ({dice.low:+.3f} to {dice.high:+.3f})"
        pairs = [_pair(row, metric) for metric in ("nsd", "hd95_mm")]
        name = row.label + (" *" if row.is_new else "")
        lines.append(
            f"{name:{width}s}  {row.before['dice'].mean:11.3f} {row.after['dice'].mean:6.3f} {change:>24s} {pairs[0]:>13s} {pairs[1]:>13s}"
        )
    return lines


def _pair(row: GateRow, metric: str) -> str:
    if metric not in row.before:
        return ""
    digits = 1 if metric in LOWER_IS_BETTER else 3
    return " -> ".join("-" if m.mean is None else f"{m.mean:.{digits}f}" for m in (row.before[metric], row.after[metric]))
