"""Values kept for when they are asked for again; the ones unused for longest go first. Standard library only."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class RecentlyUsed(Generic[Kept]):
    """A store of the most recently used values by key, safe from several threads.

    Args:
        capacity: the most that the sizes of its values may add up to; the value used last stays even where it alone is larger.
        size_of: of a value, asked when it is put in; by default every value counts as one.
    """

    def __init__(self, capacity: int, size_of: Callable[[Kept], int] = lambda value: 1) -> None:
        self.capacity, self.size = capacity, 0
        self._size_of = size_of
        self._values: OrderedDict[object, tuple[Kept, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object) -> Kept | None:
        """The value, now the most recently used; None where it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: object, value: Kept) -> Kept:
        """Keep a value; returns it."""
        size = self._size_of(value)
        with self._lock:
            self._forget(key)
            self._values[key] = value, size
            self.size += size
            while self.size > self.capacity and len(self._values) > 1:
                self._forget(next(iter(self._values)))
        return value

    def get_or_make(self, key: object, make: Callable[[], Kept]) -> Kept:
        """The value of the key, made where it is not kept."""
        value = self.get(key)
        return self.put(key, make()) if value is None else value

    def discard(self, key: object) -> None:
        """Forget a value, if it is kept."""
        with self._lock:
            self._forget(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self.size = 0

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def _forget(self, key: object) -> None:
        self.size -= self._values.pop(key, (None, 0))[1]
