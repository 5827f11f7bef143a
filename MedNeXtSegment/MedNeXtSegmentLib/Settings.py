"""What belongs to the machine rather than to the scene: kept in Slicer's settings under MedNeXtSegment/."""

import os
from pathlib import Path

import slicer

from mednextseg.machine import HOME_VARIABLE

HOME_KEY = "MedNeXtSegment/Home"
WORKER_PYTHON_KEY = "MedNeXtSegment/WorkerPython"
DEVICE_KEY = "MedNeXtSegment/Device"
COMPUTER_KEY = "MedNeXtSegment/Computer"
SERVER_ADDRESS_KEY = "MedNeXtSegment/ServerAddress"
SERVER_FINGERPRINT_KEY = "MedNeXtSegment/ServerFingerprint"

_appliedHome: tuple[str, str | None] | None = None  # what `applyHome` set, and what the environment had before


def read(key: str, default: str = "") -> str:
    """A setting as text."""
    return slicer.util.settingsValue(key, default) or default


def write(key: str, value: str) -> None:
    """Keep a setting; an empty text forgets it."""
    settings = slicer.app.userSettings()
    if value:
        settings.setValue(key, value)
    else:
        settings.remove(key)


def isServerChosen() -> bool:
    """Whether the user chose that a server computes."""
    return read(COMPUTER_KEY) == "server"


def serverName() -> str:
    """Stands for the chosen server in names of folders and settings: the beginning of its fingerprint."""
    return read(SERVER_FINGERPRINT_KEY).replace(":", "")[:16] or "unknown"


def applyHome() -> None:
    """Let this process and its workers find the installed models in the folder that the user chose; the environment's where none is.

    Where a server computes, its models' cards lie in a folder of their own inside it, which takes its place.
    """
    global _appliedHome  # noqa: PLW0603 - the environment is one for the process
    home, now = read(HOME_KEY), os.environ.get(HOME_VARIABLE)
    isOurs = _appliedHome is not None and _appliedHome[0] == now
    before = _appliedHome[1] if isOurs else now
    if isServerChosen():
        home = str(Path(home or before or Path.home() / ".mednextseg") / "servers" / serverName())
    if home:
        _appliedHome = home, before
        os.environ[HOME_VARIABLE] = home
    elif isOurs:
        _appliedHome = None
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before


def workerProgram() -> str | None:
    """The Python that the user chose for the worker; None for Slicer's own."""
    return read(WORKER_PYTHON_KEY) or None


def workerEnvironment() -> dict[str, str] | None:
    """Variables of the worker process; None, those of Slicer, for Slicer's own Python.

    Another Python must not see the library paths that Slicer's launcher set.
    """
    applyHome()
    if workerProgram() is None:
        return None
    environment = dict(slicer.util.startupEnvironment())
    if HOME_VARIABLE in os.environ:
        environment[HOME_VARIABLE] = os.environ[HOME_VARIABLE]
    return environment


def defaultDevice() -> str:
    """The device that a new scene begins with: "auto" unless the user chose one in the settings."""
    return read(DEVICE_KEY, "auto")
