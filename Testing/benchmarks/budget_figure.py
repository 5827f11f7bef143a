"""Dice over multiply-adds, a line for each window policy, as a picture."""

from pathlib import Path

_COLORS = {"coarse": "#b5651d", "dynamic": "#2a7f62", "bank": "#4a6fa5", "full": "#444444"}


def write_figure(rows: list[dict], model: str, path: Path) -> None:
    """Write a PNG of the rows of `budget_curves.py`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [("dice", "Dice to the reference"), ("dice_to_full", "Dice to every window")]
    panels = [panel for panel in panels if rows[0][panel[0]] is not None]
    for axes, (field, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for policy in dict.fromkeys(row["policy"] for row in rows):
            line = [row for row in rows if row["policy"] in (policy, "full")]
            points = sorted((row["multiply_adds"] / rows[0]["multiply_adds"], row[field]) for row in line)
            axes.plot(
                *zip(*points, strict=True), "o-", color=_COLORS[policy], label="every window" if policy == "full" else policy
            )
        axes.set(xlabel="multiply-adds, share of every window", title=title, xlim=(0, 1.05))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, title=model)
    figure.savefig(path, dpi=150)
