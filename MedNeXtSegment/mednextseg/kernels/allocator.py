"""Let glibc keep the memory of freed activations for the next ones.

By default a block above 32 MB is a mapping of its own: the kernel hands out zeroed pages at the first touch and takes them
back at the release, for each activation of each layer. That alone can double the time of a plain MedNeXt. The parameters hold
for the whole process, so the worker and the command line make them at their start; importing this module changes nothing.
"""

import ctypes
import sys

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Serve large blocks from the heap and keep up to 2 GB of it when freed. Call before any thread is started.

    One arena for all threads, because those of later threads hold 64 MB at most and would map every larger block again.

    Returns:
        Whether it took effect; False on systems without glibc (Windows, macOS, musl), where nothing is done.
    """
    libc = _glibc()
    if libc is None:
        return False
    parameters = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST_INT), (_M_ARENA_MAX, 1))
    return sum(libc.mallopt(parameter, value) for parameter, value in parameters) == len(parameters)


def release_freed_memory() -> bool:
    """Give the kept memory back to the system, after a run and before a long wait. Returns whether there was any."""
    libc = _glibc()
    return libc is not None and libc.malloc_trim(0) == 1


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
