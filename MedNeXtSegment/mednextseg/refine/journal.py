"""The prompt journal: every action of a refinement as data, so that it can be replayed to the identical mask.

Coordinates are RAS in mm with the plane they were given on, so a journal holds for the patient, not for a screen or an array.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.files import write_text

FORMAT, VERSION = "mednextseg-prompt-journal", 2
ACTIONS = (
    "point",
    "box",
    "remove_point",
    "remove_box",
    "window",
    "undo",
    "redo",
    "accept",
    "discard",
    "propagate",
    "propagate_between",
)
# What journals call "window" is what the code calls display_range; the files of users keep the word.
_NEEDS = {
    "point": ("point_ras_mm", "positive", "plane"),
    "box": ("corners_ras_mm", "plane"),
    "remove_point": ("index",),
    "window": ("window",),
    "propagate": ("slices_ahead", "slices_back"),
}


@dataclass
class PromptJournal:
    """What was done, in order.

    Attributes:
        prompter: name of the prompter, and `model_hash`, the SHA-256 of its weights.
        segment: name of the segment.
        display_range: intensities shown black and white at the start, or None for percentiles of each slice.
        entries: JSON-ready actions, oldest first; a point with "answered" false was overtaken by the next one.
    """

    prompter: str
    model_hash: str
    segment: str = ""
    display_range: tuple[float, float] | None = None
    entries: list[dict] = field(default_factory=list)

    def record(self, action: str, **values: object) -> None:
        """Add an action."""
        self.entries.append({"action": action, **values})

    def to_json(self) -> str:
        """The journal as text. Numbers are written so that reading gives the identical float64."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "prompter": self.prompter,
            "model_hash": self.model_hash,
            "segment": self.segment,
            "window": self.display_range,
        }
        return json.dumps({**head, "entries": self.entries}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "PromptJournal":
        """Read a journal.

        Raises:
            ValueError: for text that is no journal, a newer version, or an action that is unknown or incomplete.
        """
        try:
            raw = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"this is no prompt journal: it is not JSON ({error}).") from error
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f'this is no prompt journal: its "format" must be "{FORMAT}".')
        if raw.get("version", 0) > VERSION:
            raise ValueError(f"the journal has version {raw['version']}, this program knows {VERSION}; update the extension.")
        missing = [name for name in ("prompter", "model_hash", "entries") if name not in raw]
        if missing:
            raise ValueError(f"the prompt journal lacks {', '.join(missing)}.")
        for number, entry in enumerate(raw["entries"]):
            _check_entry(number, entry)
        display_range = tuple(raw["window"]) if raw.get("window") else None
        return cls(raw["prompter"], raw["model_hash"], raw.get("segment", ""), display_range, list(raw["entries"]))

    def save(self, path: str | Path) -> None:
        """Write the journal, whole or not at all."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "PromptJournal":
        """Read a journal file; ValueError as in `from_json`."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def _check_entry(number: int, entry: dict) -> None:
    action = entry.get("action") if isinstance(entry, dict) else None
    if action not in ACTIONS:
        raise ValueError(f"entry {number} of the journal has the action {action!r}; allowed are {', '.join(ACTIONS)}.")
    missing = [name for name in _NEEDS.get(action, ()) if name not in entry]
    if missing:
        raise ValueError(f'entry {number} of the journal ("{action}") lacks {", ".join(missing)}.')
