"""The prompt journal: every action of a refinement as data, so that it can be replayed to the identical mask.

Coordinates are RAS in mm with the plane they were given on, so a journal holds for the patient, not for a screen or an array.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.files import write_text
from mednextseg.refine.journal_entries import checked_entries, checked_range, checked_text
from mednextseg.refine.volume_stamp import VolumeStamp

FORMAT, VERSION = "mednextseg-prompt-journal", 4  # 4: scribbles and lassos


@dataclass
class PromptJournal:
    """What was done, in order.

    Attributes:
        prompter: name of the prompter, and `model_hash`, the SHA-256 of its weights.
        segment: name of the segment.
        display_range: intensities shown black and white at the start, or None for percentiles of each slice.
        entries: JSON-ready actions, oldest first; a point with "answered" false was overtaken by the next one.
        volume: the stamp of the volume; None in journals before version 3, which do not say which volume they belong to.
    """

    prompter: str
    model_hash: str
    segment: str = ""
    display_range: tuple[float, float] | None = None
    entries: list[dict] = field(default_factory=list)
    volume: VolumeStamp | None = None

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
            "volume": None if self.volume is None else self.volume.to_dict(),
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
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"this is no prompt journal: it is not JSON ({error}).") from error
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f'this is no prompt journal: its "format" must be "{FORMAT}".')
        version = raw.get("version", 0)
        if not isinstance(version, int):
            raise ValueError(f"the prompt journal is damaged: its version is {version!r}, a number is needed.")
        if version > VERSION:
            raise ValueError(f"the journal has version {version}, this program knows {VERSION}; update the extension.")
        missing = [name for name in ("prompter", "model_hash", "entries") if name not in raw]
        if missing:
            raise ValueError(f"the prompt journal lacks {', '.join(missing)}.")
        try:
            display_range = None if raw.get("window") is None else checked_range(raw["window"])
            volume = None if raw.get("volume") is None else VolumeStamp.from_dict(raw["volume"])
            texts = [checked_text(raw.get(name, "")) for name in ("prompter", "model_hash", "segment")]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"the prompt journal is damaged: {error}.") from error
        return cls(*texts, display_range, checked_entries(raw["entries"]), volume)

    def save(self, path: str | Path) -> None:
        """Write the journal, whole or not at all."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "PromptJournal":
        """Read a journal file; ValueError as in `from_json`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{Path(path).name} is no prompt journal: it is not UTF-8 text.") from error
        return cls.from_json(text)
