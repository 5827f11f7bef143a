"""Whether a result that is there already is of the same run: the same weights, card, recipe and images."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from mednextseg.dicom_frames import is_dicom
from mednextseg.dicom_seg.reading import run_of
from mednextseg.models.library import sha256_of
from mednextseg.models.model_card import ModelCard
from mednextseg.models.policy_facts import KINDS, policy_file
from mednextseg.segment.prepare.region_check import coarse_card
from mednextseg.segment.recipe import SegmentRecipe

# An entry of its own in the header of a .seg.nrrd: a file beside the result could be lost or left behind.
RUN_FIELD = "MedNeXtSeg_Run"


def run_key(card: ModelCard, recipe: SegmentRecipe, files: Sequence[Path], *more: object) -> str:
    """What a result depends on, as a hash; two runs with the same key give the same labels.

    Args:
        card: of the model, with the hashes of its weights; that of the model that finds its regions counts, too.
        recipe: of the run; with a budget below 1 the window policies of the model count, too.
        files: the images (of folders, the files in them), known by size and time of change: reading them all again would take longer
            than many a run.
        more: what else the run was asked for, as JSON values.
    """
    parts = [part for file in files for part in (sorted(file.iterdir()) if file.is_dir() else [file])]
    stats = [(part.name, part.stat().st_size, part.stat().st_mtime_ns) for part in parts]
    coarse = coarse_card(card)
    cards = [card.to_dict()] if coarse is None else [card.to_dict(), coarse.to_dict()]
    policies = [policy_file(card.id, kind) for kind in KINDS] if recipe.budget < 1 else []
    digests = [sha256_of(file) for file in policies if file.is_file()]
    text = json.dumps([cards, recipe.to_dict(), digests, stats, more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recorded_run(file: Path) -> str | None:
    """The key in the header of a .seg.nrrd or a DICOM segmentation; None for a file that has none or cannot be read."""
    if is_dicom(file):
        return run_of(file)
    header = sitk.ImageFileReader()
    header.SetFileName(str(file))
    try:
        header.ReadImageInformation()
    except RuntimeError:
        return None
    return header.GetMetaData(RUN_FIELD) if header.HasMetaDataKey(RUN_FIELD) else None
