"""Progress for people: a bar on a terminal, a plain line for each phase elsewhere (log files)."""

import sys
from types import TracebackType

from tqdm import tqdm

from mednextseg.segment.progress import Progress


class ConsoleProgress:
    """Shows the Progress reports of one run on standard error.

    Args:
        title: in front of the bar.
        quiet: show nothing.
    """

    def __init__(self, title: str, quiet: bool = False) -> None:
        self._title, self._quiet = title, quiet
        self._phase = ""
        self._bar: tqdm | None = None

    def __enter__(self) -> "ConsoleProgress":
        if not self._quiet and sys.stderr.isatty():
            self._bar = tqdm(total=100, desc=self._title, unit="%", bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Take one report."""
        if self._bar is not None:
            left = "" if progress.seconds_left is None else f", {progress.seconds_left:.0f} s left"
            self._bar.n = round(100 * progress.fraction)
            self._bar.set_postfix_str(f"{progress.phase}{left}")
        elif not self._quiet and progress.phase != self._phase:
            print(f"{self._title}: {progress.phase} ({progress.fraction:.0%})", file=sys.stderr, flush=True)
        self._phase = progress.phase
