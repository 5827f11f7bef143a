"""Cases that the user collected for adapting: their list on this computer. Light, so that Slicer's process can read it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mednextseg.errors import sentence_of
from mednextseg.json_values import json_list, json_object, listed, read_json_object, text, whole_number
from mednextseg.machine import home_folder
from mednextseg.models.install.workspace import doomed_name, remove_stale

CASE_FILE, SEGMENTATION_FILE = "case.json", "segmentation.seg.nrrd"
FORMAT, VERSION = "mednextseg-collected-case", 1
_ID_DIGITS, _SHOWN_DIGITS = 16, 6


@dataclass(frozen=True)
class CollectedCase:
    """One case, as its file says.

    Attributes:
        volume_sha256: of the voxels of all channels; two cases of one volume cannot both be kept.
        name: of the volume.
        date: when it was collected, as in ISO 8601, UTC.
        labels: names of the structures that were looked for.
        channels: number of image files.
        base: "id", "version" and "weights_sha256" of the model whose result was corrected; None where that is not known.
        folder: where it lies.
    """

    volume_sha256: str
    name: str
    date: str
    labels: tuple[str, ...]
    channels: int
    base: Mapping[str, Any] | None
    folder: Path

    @property
    def id(self) -> str:
        """What lists and commands call it."""
        return self.volume_sha256[:_ID_DIGITS]

    @property
    def full_name(self) -> str:
        """Different for two volumes of one name."""
        return f"{self.name} ({self.id[:_SHOWN_DIGITS]})"

    @property
    def images(self) -> list[Path]:
        """A file for each channel."""
        return [self.folder / image_file(channel) for channel in range(self.channels)]

    def to_dict(self) -> dict:
        """JSON-ready values, the folder left out: it may be moved."""
        fields = {name: value for name, value in vars(self).items() if name != "folder"}
        return {"format": FORMAT, "version": VERSION, **fields, "labels": list(self.labels)}


def image_file(channel: int) -> str:
    """Name of the file of a channel, counted from 0."""
    return f"image_{channel:04d}.nrrd"


def collected_folder() -> Path:
    """Where collected cases lie, each in a folder of its own."""
    return home_folder() / "cases"


def collected_cases() -> tuple[list[CollectedCase], dict[str, str]]:
    """Those that are whole, the newest last; and for each damaged one, by the name of its folder, a sentence."""
    found, damaged, place = [], {}, collected_folder()
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            found.append(_read(folder))
        except (OSError, ValueError) as error:
            damaged[folder.name] = f"the collected case {listed([folder.name])} is damaged ({sentence_of(error)}); remove it."
    return sorted(found, key=lambda case: (case.date, case.id)), damaged


def find_case(name: str) -> CollectedCase:
    """The case of this id, or of a beginning of it that only one has.

    Raises:
        ValueError: in one sentence, where there is none, or more than one.
    """
    cases, _ = collected_cases()
    matching = [case for case in cases if name and case.id.startswith(name.lower())]
    if len(matching) != 1:
        known = f"there are: {listed(case.id for case in cases)}" if cases else "there is none yet"
        which = "several collected cases begin with" if matching else "there is no collected case"
        raise ValueError(f"{which} {listed([name])}; {known}.")
    return matching[0]


def remove_case(name: str) -> None:
    """Delete a collected case, also a damaged one; nothing else is touched.

    Args:
        name: its id, or a beginning of it that only one has; of a damaged one the name of its folder.
    Raises:
        ValueError: as `find_case`.
        OSError: where it cannot be deleted.
    """
    place = collected_folder()
    folder = place / name if name in collected_cases()[1] else find_case(name).folder
    doomed = folder.rename(doomed_name(place, "removing"))
    shutil.rmtree(doomed, ignore_errors=True)
    remove_stale(place)


def _read(folder: Path) -> CollectedCase:
    raw = read_json_object(folder / CASE_FILE)
    if raw.get("format") != FORMAT:
        raise ValueError(f'{CASE_FILE} is of another program: its "format" must be "{FORMAT}".')
    if whole_number(raw.get("version"), "its version", 1) > VERSION:
        raise ValueError(f"{CASE_FILE} was written by a newer version; update the extension.")
    base = raw.get("base")
    case = CollectedCase(
        text(raw.get("volume_sha256"), "its volume_sha256"),
        text(raw.get("name"), "its name"),
        text(raw.get("date"), "its date"),
        tuple(text(name, "a label") for name in json_list(raw.get("labels"), "its labels")),
        whole_number(raw.get("channels"), "its channels", 1, 1000),
        None if base is None else json_object(base, "its base"),
        folder,
    )
    if case.id != folder.name:
        raise ValueError(f"{CASE_FILE} is of the volume {case.id}.")
    if absent := [file.name for file in (*case.images, folder / SEGMENTATION_FILE) if not file.is_file()]:
        raise ValueError(f"{listed(absent)} is missing.")
    return case
