"""The one exception that is no error."""


class Cancelled(Exception):  # noqa: N818  (not an error)
    """The caller asked to stop; nothing was written."""
