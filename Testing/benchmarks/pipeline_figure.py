"""Seconds and memory of the programs over the volume's size, as a picture."""

from pathlib import Path

_COLORS = {"ours": "#2a7f62", "MONAI": "#b5651d", "nnU-Net v2": "#4a6fa5"}


def write_figure(rows: list[dict], path: Path) -> None:
    """Write a PNG of the rows of `pipeline_benchmark.py`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("seconds", 1.0, "seconds, end to end"), ("peak_bytes", 1e9, "peak memory above the start, GB"))
    for axes, (field, unit, title) in zip(figure.subplots(1, 2), panels, strict=True):
        for program in dict.fromkeys(row["program"] for row in rows):
            points = [(row["edge"], row[field] / unit) for row in rows if row["program"] == program and row[field]]
            axes.plot(*zip(*points, strict=True), "o-", color=_COLORS[program], label=program)
        axes.set(xlabel="voxels along each axis", title=title)
        axes.set(**({"yscale": "log"} if field == "seconds" else {"ylim": (0, None)}))
        axes.set_xticks(sorted({row["edge"] for row in rows}))
        axes.grid(alpha=0.3, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)
