"""Folders of cases: which files are images, which case and channel they are of, and what counts as a failing case.

Processes that only run models need no metrics.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mednextseg.dicom_frames import holds_dicom
from mednextseg.json_values import listed

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = (".seg.nrrd", ".dcm", *IMAGE_SUFFIXES)
CASE_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)


def suffix_of(file_name: str) -> str | None:
    """The one of SUFFIXES that a name ends in, in any case; None for other files, and hidden ones such as macOS's ._copies."""
    if file_name.startswith("."):
        return None
    return next((suffix for suffix in SUFFIXES if file_name.lower().endswith(suffix)), None)


def case_name(file: Path) -> str:
    """The name of a file without its suffix, a double one such as .nii.gz included; that of a folder as it is."""
    if file.is_dir():
        return file.name
    suffix = suffix_of(file.name)
    return file.stem if suffix is None else file.name[: -len(suffix)]


def channel_name(case: str, channel: int) -> str:
    """What nnU-Net calls the file of one channel, without suffix: CASE_0000, CASE_0001, ..."""
    return f"{case}_{channel:04d}"


def case_files(folder: Path) -> dict[str, Path]:
    """Case name -> file in a folder; .seg.nrrd and DICOM go before a plain volume of the same name."""
    files, found = sorted(folder.iterdir()), {}
    for suffix in SUFFIXES:
        for file in files:
            if suffix_of(file.name) == suffix:
                found.setdefault(case_name(file), file)
    return dict(sorted(found.items()))


def is_folder_of_cases(path: Path) -> bool:
    """A folder with image files or folders of a DICOM series each, rather than one with the slices of a series."""
    if not path.is_dir():
        return False
    if any(suffix_of(file.name) in IMAGE_SUFFIXES for file in path.iterdir()):
        return True
    return not holds_dicom(path) and any(holds_dicom(entry) for entry in path.iterdir() if entry.is_dir())


def check_inputs(paths: Sequence[Path]) -> None:
    """Make sure that there is something to read at every path, before anything else is asked.

    Raises:
        FileNotFoundError: for a path that is not there.
        ValueError: for a folder without images.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}.")
        if path.is_dir() and not is_folder_of_cases(path) and not holds_dicom(path):
            raise ValueError(f"{path} holds no image and no DICOM series; give a folder that does, or a file.")


def image_files(folder: Path, channels: int | None = None) -> dict[str, list[Path]]:
    """Case name -> image of each channel, by nnU-Net's names; without numbers, one image a case. Segmentations are no images.

    An image is a file, or a folder with a DICOM series.

    A folder is of one kind: every file has a channel's number, or none has.

    Four digits are a channel only where there is a channel 0000: amos_0001 and amos_0004 alone are two cases.

    Args:
        folder: where the files lie.
        channels: how many every case must have; None for any number.
    Raises:
        ValueError: for two files of one channel, a channel that is missing, a case with another number of channels, and files with
            and without numbers side by side.
    """
    numbered: dict[str, dict[int, Path]] = {}
    cases: dict[str, list[Path]] = {}
    for name, file in _images(folder).items():
        parts = re.fullmatch(r"(.+)_(\d{4})", name)
        if parts is None:
            cases[name] = [file]
        else:
            numbered.setdefault(parts[1], {})[int(parts[2])] = file
    for case, files in numbered.items():
        if 0 not in files:
            cases.update({case_name(file): [file] for file in files.values()})
            continue
        if case in cases:
            raise ValueError(f"{folder} holds both {cases[case][0].name} and {files[0].name}; keep one of them.")
        missing = [channel for channel in range(max(files)) if channel not in files]
        if missing:
            raise ValueError(f"the case {case} in {folder} lacks its channel {channel_name(case, missing[0])}; add the file.")
        cases[case] = [files[channel] for channel in sorted(files)]
    _refuse_both_kinds(folder, cases)
    wrong = [name for name, files in sorted(cases.items()) if channels is not None and len(files) != channels]
    if wrong:
        raise ValueError(f"the model needs {channels} file(s) a case, but {listed(wrong[:3])} has another number in {folder}.")
    return dict(sorted(cases.items()))


def _refuse_both_kinds(folder: Path, cases: dict[str, list[Path]]) -> None:
    is_channel = {case: case_name(files[0]) == channel_name(case, 0) for case, files in cases.items()}
    if len(set(is_channel.values())) > 1:
        with_number, without = (next(case for case in cases if is_channel[case] is kind) for kind in (True, False))
        raise ValueError(
            f"{folder} holds files with channel numbers ({cases[with_number][0].name}) and without ({cases[without][0].name}); "
            "keep one kind in a folder."
        )


def _images(folder: Path) -> dict[str, Path]:
    """Name without suffix -> image file, or folder of a series."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if suffix_of(file.name) in IMAGE_SUFFIXES or (file.is_dir() and holds_dicom(file)):
            name = case_name(file)
            if name in found:
                raise ValueError(f"{folder} holds both {found[name].name} and {file.name}; keep one of them.")
            found[name] = file
    return found
