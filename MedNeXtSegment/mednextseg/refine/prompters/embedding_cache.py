"""Embeddings of slices kept for when the user comes back, within a limit of bytes."""

from mednextseg.recently_used import RecentlyUsed
from mednextseg.refine.prompter import Embedding

DEFAULT_LIMIT_BYTES = 256 * 1024 * 1024


class EmbeddingCache(RecentlyUsed[Embedding]):
    """The most recently used embeddings, by slice and displayed range.

    Args:
        limit_bytes: the most memory they may hold.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        super().__init__(limit_bytes, lambda embedding: embedding.nbytes)
