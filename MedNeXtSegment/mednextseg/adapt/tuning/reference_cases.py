"""The base's own reference cases, where its package carries some: on them an adapted model is asked what it forgot."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from mednextseg.adapt.tuning.cases import LabeledVolume, cases_in_folder
from mednextseg.adapt.tuning.label_plan import LabelPlan
from mednextseg.labels.names import canonical_name
from mednextseg.models.loaded_model import LoadedModel


def kept_labels(plan: LabelPlan) -> LabelPlan:
    """Of a result's labels those that its base has: the others it could not forget."""
    pairs = [(label, source) for label, source in zip(plan.labels, plan.sources, strict=True) if source is not None]
    labels, sources = tuple(label for label, _ in pairs), tuple(source for _, source in pairs)
    return LabelPlan(labels, sources, {canonical_name(label.name): label.name for label in labels})


def reference_cases(base: LoadedModel, plan: LabelPlan, own: Collection[LabeledVolume]) -> Iterator[tuple[str, LabeledVolume]]:
    """Name and case, one at a time, with the structures that the plan has alone.

    Args:
        base: its card names the folder of the cases.
        plan: from `kept_labels`.
        own: the user's cases; a reference case with a volume of theirs is left out, because it may have been learned from.
    Raises:
        ValueError, OSError: in one sentence, for a folder or a case that cannot be read.
    """
    if not base.card.reference_cases or not plan.labels:
        return
    for case in cases_in_folder(base.folder / base.card.reference_cases, len(base.card.channels)).cases:
        opened = case.opened()
        kept = tuple(label for label in opened.segmentation.labels if canonical_name(label.name) in plan.targets)
        if not kept or any(np.array_equal(opened.volume, other.volume) for other in own):
            continue
        labelmap_kji = opened.segmentation.labelmap_kji
        drawn_kji = np.where(np.isin(labelmap_kji, [label.value for label in kept]), labelmap_kji, 0)
        yield case.name, replace(opened, segmentation=replace(opened.segmentation, labelmap_kji=drawn_kji, labels=kept))
