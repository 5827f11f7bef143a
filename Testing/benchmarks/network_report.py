"""Table and plot of what network_benchmark.py measured: FOLDER/benchmarks_network.json -> FOLDER/benchmarks.md, FOLDER/figures/.

    python Testing/benchmarks/network_report.py docs/developers

The table replaces what stands between the two marks in benchmarks.md; the text around it is written by hand.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
from network_benchmark import QUIET_LOAD, REFERENCE, Row, read_rows

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

BEGIN, END = "<!-- network table -->", "<!-- end of the network table -->"
# (runner, allocator) -> name of a reader and color of a bar.
SHOWN = {
    (REFERENCE, "stock"): ("MONAI", "#9a9a9a"),
    (REFERENCE, "kept"): ("MONAI, kept memory", "#cfcfcf"),
    ("fast fp32", "stock"): ("fast path, float32, stock memory", "#7fb2d9"),
    ("fast fp32", "kept"): ("fast path, float32 (default)", "#1f6fb2"),
    ("fast bf16", "kept"): ("fast path, bfloat16 (off by default)", "#e08a3c"),
}
Cells = dict[tuple[str, int], dict[tuple[str, str], Row]]


def cells_of(rows: list[Row]) -> Cells:
    """(network, patch) -> (runner, allocator) -> row, by patch and then in the order of the variants."""
    cells: Cells = {}
    for row in sorted(rows, key=lambda row: (row.patch, "SBML".index(row.network[0]), row.network)):
        cells.setdefault((row.network, row.patch), {})[row.runner, row.allocator] = row
    return cells


def markdown(cells: Cells) -> str:
    """One line a cell: seconds of every runner, how many times faster than MONAI, agreement, turns, load by others."""
    names = [name for name, _ in SHOWN.values()]
    agreement = (
        "largest relative difference, float32",
        "labels equal, float32",
        "labels equal, bfloat16",
        "fewest turns",
        "others' load",
    )
    header = ("patch", "network", *(f"{name}, s" for name in names), *agreement)
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for (network, patch), by_runner in cells.items():
        reference = by_runner[REFERENCE, "stock"]
        exact, inexact = by_runner.get(("fast fp32", "kept")), by_runner.get(("fast bf16", "kept"))
        seconds = [_seconds(by_runner.get(key), reference) for key in SHOWN]
        load = max(row.other_load for row in by_runner.values())
        turns = min(row.turns for row in by_runner.values() if row.wall_s is not None)
        mark = "" if load < QUIET_LOAD else " (busy)"
        lines.append(
            f"| {patch}^3 | {network} | {' | '.join(seconds)} | {_error(exact)} | {_labels(exact)} | {_labels(inexact)} "
            f"| {turns} | {100 * load:.0f} %{mark} |"
        )
    return "\n".join(lines)


def _seconds(row: Row | None, reference: Row) -> str:
    if row is None:
        return "-"
    if row.wall_s is None:
        return "left out (over a minute)"
    if row is reference or reference.wall_s is None:
        return f"{row.wall_s:.3f}"
    return f"{row.wall_s:.3f} ({reference.wall_s / row.wall_s:.1f}x)"


def _error(row: Row | None) -> str:
    return "-" if row is None or row.relative_error is None else f"{row.relative_error:.0e}"


def _labels(row: Row | None) -> str:
    return "-" if row is None or row.label_agreement is None else f"{100 * row.label_agreement:.3f} %"


def plot(cells: Cells, file: Path) -> None:
    """Seconds a patch, one panel for each patch size, logarithmic; the factors over MONAI stand on the bars of the fast path."""
    patches = sorted({patch for _, patch in cells})
    figure, panels = plt.subplots(len(patches), 1, figsize=(10, 3.1 * len(patches)), squeeze=False, layout="constrained")
    for axes, patch in zip(panels[:, 0], patches, strict=True):
        _plot_patch(axes, patch, {network: rows for (network, size), rows in cells.items() if size == patch})
    widest = max(sum(size == patch for _, size in cells) for patch in patches)
    for axes in panels[:, 0]:
        axes.set_xlim(-0.5, widest - 0.5)
    handles = {label: handle for axes in panels[:, 0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _plot_patch(axes: Axes, patch: int, networks: dict[str, dict[tuple[str, str], Row]]) -> None:
    width = 0.8 / len(SHOWN)
    for n, (key, (name, color)) in enumerate(SHOWN.items()):
        for place, rows in enumerate(networks.values()):
            row, reference = rows.get(key), rows[REFERENCE, "stock"]
            if row is None or row.wall_s is None:
                continue
            x = place + (n - (len(SHOWN) - 1) / 2) * width
            axes.bar(x, row.wall_s, width, color=color, label=name)
            if key[0] != REFERENCE and key[1] == "kept" and reference.wall_s is not None:
                axes.text(
                    x,
                    row.wall_s * 1.08,
                    f"{reference.wall_s / row.wall_s:.1f}x",
                    ha="center",
                    va="bottom",
                    fontsize=8,
                    rotation=90,
                )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.2)
    axes.set_xticks(range(len(networks)), networks)
    axes.set_ylabel("seconds a patch")
    axes.set_title(f"patch of {patch} x {patch} x {patch} voxels", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)


def write(folder: Path) -> None:
    """Table into FOLDER/benchmarks.md, plot into FOLDER/figures."""
    cells = cells_of(read_rows(folder / "benchmarks_network.json"))
    page = folder / "benchmarks.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(cells)}\n\n{END}{after}", encoding="utf-8")
    plot(cells, folder / "figures" / "network_speed.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder docs/developers")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
