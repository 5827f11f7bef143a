"""Errors as one sentence for people, and the exception that stands for a stop the caller asked for. Standard library only."""

import errno

_CURES = {
    "make room": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "change its permissions or choose another place": (errno.EACCES, errno.EPERM, errno.EROFS),
    "check the name": (errno.ENOENT, errno.ENOTDIR, errno.ELOOP),
    "choose a shorter name": (errno.ENAMETOOLONG,),
    "give a file and no folder": (errno.EISDIR,),
    "close other programs": (errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}
_OTHER_CURE = "check the disk or the network drive, or choose another place"


class Cancelled(Exception):  # noqa: N818  (not an error)
    """The caller asked to stop; nothing was written."""


def sentence_of(error: BaseException) -> str:
    """What went wrong as one sentence: errors of the system name their file and get a cure, others say it themselves."""
    if isinstance(error, OSError) and error.errno is not None:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{reason_of(error)}; {cure_of(error)}."
    said = " ".join(str(error).split())  # other libraries' errors have line breaks
    if isinstance(error, MemoryError) and not said:
        return "memory ran out; close other programs, or give a region or a smaller volume."
    return said or f"{type(error).__name__}, without a word."


def reason_of(error: OSError) -> str:
    """The system's own words, to go into a sentence."""
    said = (error.strerror or type(error).__name__).strip().rstrip(".")
    return said[:1].lower() + said[1:]


def cure_of(error: OSError) -> str:
    """What a user can do about an error of the system."""
    return next((cure for cure, numbers in _CURES.items() if error.errno in numbers), _OTHER_CURE)
