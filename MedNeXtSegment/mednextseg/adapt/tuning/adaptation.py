"""What comes out of an adaptation."""

from dataclasses import dataclass
from pathlib import Path

from mednextseg.adapt.tuning.evidence import Evidence
from mednextseg.adapt.tuning.gate import GateOutcome
from mednextseg.models.model_card import ModelCard


@dataclass(frozen=True)
class Adaptation:
    """What came out.

    Attributes:
        package: folder of the new model.
        card: of it.
        gate: whether it may take the base's place, and the table.
        explanation: how the figures came about.
        steps: of each training.
        notes: sentences on labels and cases.
        evidence: what the gate was told.
        memory: how steps were computed so that they fit, in one sentence; empty where nothing was trained.
    """

    package: Path
    card: ModelCard
    gate: GateOutcome
    explanation: str
    steps: int
    notes: tuple[str, ...]
    evidence: Evidence
    memory: str = ""

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return {
            "package": str(self.package),
            "model": self.card.id,
            "version": self.card.version,
            "steps": self.steps,
            "explanation": self.explanation,
            "notes": list(self.notes),
            "memory": self.memory,
            **self.gate.to_dict(),
        }
