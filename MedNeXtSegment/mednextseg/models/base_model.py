"""Which model an adapted one was made from: by id, and by the hashes of its weights, which cannot be mistaken. Standard library only."""

import re
from dataclasses import dataclass, fields

from mednextseg.json_values import json_list, json_object, listed, text, yes_or_no


@dataclass(frozen=True)
class BaseModel:
    """A card's `base`.

    Attributes:
        is_needed: the package holds only what differs from the base, which has to be installed beside it.
    """

    id: str
    version: str
    weights_sha256: tuple[str, ...]
    is_needed: bool = False

    def __post_init__(self) -> None:
        text(self.id, "id of base")
        text(self.version, "version of base")
        yes_or_no(self.is_needed, "is_needed of base")
        digests = [text(digest, "a SHA-256 of base") for digest in json_list(self.weights_sha256, "weights_sha256 of base")]
        if not digests or not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests):
            raise ValueError("weights_sha256 of base must list the SHA-256 of each weights file")

    @classmethod
    def from_dict(cls, raw: object) -> "BaseModel":
        """From JSON values; ValueError for other fields or values."""
        raw = json_object(raw, "base")
        names = [field.name for field in fields(cls)]
        if sorted({"is_needed", *raw}) != sorted(names):
            raise ValueError(f"base must have the fields {listed(names)}, got {listed(raw) or 'none'}")
        digests = tuple(json_list(raw["weights_sha256"], "weights_sha256 of base"))
        return cls(raw["id"], raw["version"], digests, raw.get("is_needed", False))
