"""What a refinement corrects."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RefineTarget:
    """What is chosen to be corrected, by the tab or by the Segment Editor.

    Attributes:
        volumeNode, segmentationNode, segmentId: None or empty where nothing is chosen.
        missing: one sentence on why nothing can be corrected; empty where it can.
        options: further arguments of RefineLogic.startRefinement.
    """

    volumeNode: Any = None
    segmentationNode: Any = None
    segmentId: str = ""
    missing: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def prompter(self) -> tuple[tuple[str, Any], ...]:
        """The options that say who answers."""
        return tuple((name, value) for name, value in self.options if name in ("prompter", "family"))

    def isOf(self, session) -> bool:
        """Whether a RefineSession corrects just this."""
        chosen = (self.volumeNode, self.segmentationNode, self.segmentId)
        return chosen == (session.volumeNode, session.segmentationNode, session.segmentId)
