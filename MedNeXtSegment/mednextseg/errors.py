"""The exception that stands for a stop the caller asked for, not for a fault."""


class Cancelled(Exception):  # noqa: N818  (not an error)
    """The caller asked to stop; nothing was written."""
