"""Where the checkpoints of a results folder lie, whichever of its levels someone points at."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mednextseg.json_values import listed

# From a results root down to a fold there are three levels in nnU-Net v2 and four in v1.
_DEPTH = 4
_FIRST_STAGE, _SECOND_STAGE = "3d_lowres", "3d_cascade_fullres"
_FOLD = re.compile(r"^(fold_\d+|fold_all|all)$")


def fold_checkpoints(path: Path, names: Sequence[str], suffix: str) -> list[Path]:
    """The weights files that belong together: one, or one a fold.

    Args:
        path: a weights file, a fold, the trainer's folder, or any folder above it.
        names: file names by preference.
        suffix: of a weights file that is given itself.
    Returns:
        Checkpoints in the order of the folds; numbered folds hide the one trained on all cases, and the second stage of a cascade its
        first. Empty where there are none.
    Raises:
        ValueError: where several trained models lie below the folder.
    """
    if path.is_file():
        return [path] if path.suffix == suffix else []
    if (own := _checkpoint_in(path, names)) is not None:
        return [own]
    found = {folder: folds for folder in _folders(path, _DEPTH) if (folds := _folds(folder, names))}
    found = {folder: folds for folder, folds in found.items() if not _is_first_stage(folder, found)}
    if len(found) > 1:
        some = listed(folder.relative_to(path) for folder in list(found)[:5])
        raise ValueError(f"{path} holds {len(found)} trained models ({some}); give the folder of one of them.")
    return next(iter(found.values()), [])


def is_fold(folder: Path) -> bool:
    """Whether a folder has the name of a fold."""
    return bool(_FOLD.match(folder.name))


def _is_first_stage(folder: Path, trainers: Iterable[Path]) -> bool:
    """Whether the cascade that a model of low resolution belongs to is there, where nnU-Net v2 or v1 puts it."""
    if folder.name.endswith(_FIRST_STAGE):
        return folder.with_name(f"{folder.name.removesuffix(_FIRST_STAGE)}{_SECOND_STAGE}") in trainers
    configuration = folder.parent.parent
    cascades = configuration.parent / _SECOND_STAGE / folder.parent.name
    return configuration.name == _FIRST_STAGE and any(trainer.parent == cascades for trainer in trainers)


def _folds(folder: Path, names: Sequence[str]) -> list[Path]:
    folds = [child for child in sorted(folder.iterdir()) if child.is_dir() and is_fold(child)]
    numbered = [fold for fold in folds if fold.name[-1].isdigit()]
    checkpoints = [_checkpoint_in(fold, names) for fold in sorted(numbered, key=lambda f: int(f.name[5:])) or folds]
    return [checkpoint for checkpoint in checkpoints if checkpoint is not None]


def _checkpoint_in(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _folders(path: Path, depth: int) -> Iterator[Path]:
    """The folder and those below it; links are not followed."""
    yield path
    if depth:
        for child in sorted(path.iterdir()):
            if child.is_dir() and not child.is_symlink():
                yield from _folders(child, depth - 1)
