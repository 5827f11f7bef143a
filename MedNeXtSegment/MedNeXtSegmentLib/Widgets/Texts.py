"""Durations, sizes and devices in the user's words."""

from slicer.i18n import tr as _

_SECONDS_A_MINUTE = 60
_GIGABYTE = 1e9
_MEGABYTE = 1e6


def timeText(secondsElapsed: float, secondsLeft: float | None) -> str:
    """Such as "12 s so far, about 2 min left"."""
    if secondsLeft is None:
        return _("{elapsed} so far").format(elapsed=durationText(secondsElapsed))
    return _("{elapsed} so far, about {left} left").format(elapsed=durationText(secondsElapsed), left=durationText(secondsLeft))


def durationText(seconds: float) -> str:
    """Such as "40 s" or "3 min"."""
    if seconds < 2 * _SECONDS_A_MINUTE:
        return _("{count} s").format(count=round(seconds))
    return _("{count} min").format(count=round(seconds / _SECONDS_A_MINUTE))


def deviceText(device: dict) -> str:
    """Such as "NVIDIA H200, 150 GB (cuda:0)"."""
    memory = f", {device['memory_bytes'] / _GIGABYTE:.0f} GB" if device.get("memory_bytes") else ""
    return f"{device['name']}{memory} ({device['id']})"


def sizeText(sizeBytes: int) -> str:
    """Such as "22.5 MB"."""
    return _("{count} MB").format(count=f"{sizeBytes / _MEGABYTE:.1f}")
