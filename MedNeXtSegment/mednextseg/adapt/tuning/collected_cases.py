"""Cases that the user collected, as cases to learn from."""

from collections.abc import Sequence
from functools import partial

from mednextseg.adapt.tuning.cases import LabeledVolume, OwnCase
from mednextseg.cases.channels import stacked_channels
from mednextseg.cases.collected import SEGMENTATION_FILE, CollectedCase, collected_cases, find_case
from mednextseg.cases.collecting import volume_digest
from mednextseg.json_values import listed
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import read_volume


def collected_to_learn(channels: int, names: Sequence[str] | None = None) -> list[OwnCase]:
    """Collected cases to learn from; no image is read.

    Args:
        channels: that the base needs.
        names: ids, or beginnings of them; None for all that are whole.
    Raises:
        ValueError: in one sentence, where there is no such case, or one has another number of channels.
    """
    cases = collected_cases()[0] if names is None else [find_case(name) for name in names]
    if not cases:
        raise ValueError("no case was collected yet; the Refine tab collects one, or give a folder of cases.")
    if other := [case.full_name for case in cases if case.channels != channels]:
        raise ValueError(
            f"the model needs {channels} channels, and these collected cases have another number: {listed(other)}."
        )
    unique = {case.id: case for case in cases}
    return [OwnCase(case.full_name, partial(_read, case), str(case.folder)) for case in unique.values()]


def _read(case: CollectedCase) -> LabeledVolume:
    volumes = [read_volume(file) for file in case.images]
    if volume_digest([volume_kji for volume_kji, _ in volumes]) != case.volume_sha256:
        raise ValueError("its image is not the one that was collected; remove the case and collect it again.")
    volume, geometry = stacked_channels(volumes)
    return LabeledVolume(volume, geometry, read_segmentation(case.folder / SEGMENTATION_FILE))
