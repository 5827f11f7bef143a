"""Cases for training and for validation: nnU-Net's splits_final.json, and files with one such split. Standard library only."""

from dataclasses import dataclass
from pathlib import Path

from mednextseg.json_values import json_list, json_object, read_json, text


@dataclass(frozen=True)
class Split:
    """Names of cases, in the file's order."""

    training: tuple[str, ...]
    validation: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """The names of "train", "val" or "all"."""
        return {"train": self.training, "val": self.validation, "all": self.training + self.validation}[name]


def read_split(path: str | Path) -> Split:
    """The split of a file, the first where it is a list of several.

    Raises:
        OSError: where the file cannot be read.
        ValueError: in one sentence, for a file that is none.
    """
    content = read_json(path)
    if isinstance(content, list) and not content:
        raise ValueError(f"{path} lists no split; give one with train and val.")
    split = json_object(content[0] if isinstance(content, list) else content, f"the split in {path}")
    if missing := [name for name in ("train", "val") if name not in split]:
        raise ValueError(f"the split in {path} has no {' and no '.join(missing)}; it needs both, as lists of cases.")
    return Split(*(_names(split[name], f"{name} of the split in {path}") for name in ("train", "val")))


def _names(value: object, what: str) -> tuple[str, ...]:
    return tuple(text(name, f"a case in {what}") for name in json_list(value, what))
