"""Embeddings of slices kept for when the user comes back: least recently used ones go first, within a limit of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from mednextseg.refine.prompter import Embedding

DEFAULT_LIMIT_BYTES = 256 * 1024 * 1024


class EmbeddingCache:
    """A least-recently-used cache, safe from several threads.

    Args:
        limit_bytes: the most memory its embeddings may hold.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.limit_bytes, self.nbytes = limit_bytes, 0
        self._entries: OrderedDict[Hashable, Embedding] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get_or_make(self, key: Hashable, make: Callable[[], Embedding]) -> Embedding:
        """The embedding under a key; made and kept where it is not there."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        embedding = make()
        with self._lock:
            self._forget(key)
            self._entries[key] = embedding
            self.nbytes += embedding.nbytes
            while self.nbytes > self.limit_bytes and len(self._entries) > 1:
                self._forget(next(iter(self._entries)))
        return embedding

    def clear(self) -> None:
        """Forget everything: the volume or the displayed range has changed."""
        with self._lock:
            self._entries.clear()
            self.nbytes = 0

    def _forget(self, key: Hashable) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.nbytes -= old.nbytes
