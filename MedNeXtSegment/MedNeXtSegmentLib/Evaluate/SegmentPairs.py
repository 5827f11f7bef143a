"""Which segment of the test segmentation belongs to which one of the reference: by name, for the user to correct."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from mednextseg.labels.names import join_labels


@dataclass(frozen=True)
class SegmentPair:
    """One structure on both sides.

    Attributes:
        name: as the reference spells it.
        referenceIds, testIds: segments that make it up ("kidney" may be two); no testIds where it is not compared.
    """

    name: str
    referenceIds: tuple[str, ...]
    testIds: tuple[str, ...]


def segmentNames(segmentationNode) -> dict[str, str]:
    """Segment id -> name, in the order of the segmentation; empty for None."""
    if segmentationNode is None:
        return {}
    segmentation = segmentationNode.GetSegmentation()
    return {segmentId: segmentation.GetSegment(segmentId).GetName() for segmentId in segmentation.GetSegmentIDs()}


def matchSegments(referenceNode, testNode) -> tuple[list[SegmentPair], str]:
    """Match by name: spelling and order of words do not matter ("kidney_right", "Right Kidney"), unions are put together.

    Returns:
        A pair for each structure of the reference, those of the test segmentation or none in it; and one sentence where the names
        do not tell, else an empty text.
    """
    reference, test = segmentNames(referenceNode), segmentNames(testNode)
    unmatched = [SegmentPair(name, (segmentId,), ()) for segmentId, name in reference.items()]
    if not reference or not test:
        return unmatched, ""
    for names, node in ((reference, referenceNode), (test, testNode)):
        twice = next((name for name in names.values() if list(names.values()).count(name) > 1), None)
        if twice is not None:
            text = _("{node} has several segments named {name}; match the segments by hand.")
            return unmatched, text.format(node=repr(node.GetName()), name=repr(twice))
    referenceIds, testIds = list(reference), list(test)
    try:
        join = join_labels(
            {name: (number,) for number, name in enumerate(reference.values())},
            {name: (number,) for number, name in enumerate(test.values())},
        )
    except ValueError:
        return unmatched, _("No segment names agree; match the segments by hand.")
    pairs = [
        SegmentPair(
            pair.name,
            tuple(referenceIds[number] for number in pair.reference_values),
            tuple(testIds[number] for number in pair.prediction_values),
        )
        for pair in join.pairs
    ]
    return pairs + [pair for pair in unmatched if pair.name in join.only_reference], ""
