"""Ask Linux for pages of 2 MB under a large buffer.

The first touch of a page costs the same whatever its size: in a virtual machine, gigabytes of small pages take seconds.
"""

import ctypes
import mmap
import sys

from torch import Tensor

_LARGE_PAGE = 2**21


def prefer_large_pages(tensor: Tensor) -> Tensor:
    """Advise the kernel, for the whole large pages within a contiguous tensor in main memory; without effect elsewhere.

    Args:
        tensor: fresh from torch.empty, not yet written to.
    Returns:
        The same tensor.
    """
    if sys.platform.startswith("linux") and tensor.device.type == "cpu":
        start = -(-tensor.data_ptr() // _LARGE_PAGE) * _LARGE_PAGE
        length = (tensor.data_ptr() + tensor.nbytes) // _LARGE_PAGE * _LARGE_PAGE - start
        if length > 0:
            libc = ctypes.CDLL(None)
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_HUGEPAGE)
    return tensor
