"""Off-screen rendering: which VTK window works on this machine, and one clear sentence when none does."""

import ctypes
import functools
import os
import subprocess
import sys

APT_PACKAGES_VIEWS = "libegl1 libgl1"
APT_PACKAGES_PANEL = "libglib2.0-0 libfontconfig1 libxkbcommon0 libdbus-1-3"
_WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"  # read by VTK when it makes its first render window

_PROBE = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(16, 16)
renderer = vtkRenderer()
renderer.SetBackground(1, 0, 0)
window.AddRenderer(renderer)
window.Render()
picture = vtkWindowToImageFilter()
picture.SetInput(window)
picture.Update()
assert picture.GetOutput().GetScalarComponentAsDouble(8, 8, 0, 0) == 255, "the picture stays empty"
print("rendered")
"""


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def choose_window_class() -> None:
    """Choose a VTK window that needs no display: EGL, else OSMesa. A choice made by the user in the environment stays."""
    if not sys.platform.startswith("linux") or os.environ.get(_WINDOW_VARIABLE):
        return
    if _can_load("libEGL.so.1") and _can_load("libGL.so.1"):
        os.environ[_WINDOW_VARIABLE] = "vtkEGLRenderWindow"
    elif any(_can_load(name) for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")):
        os.environ[_WINDOW_VARIABLE] = "vtkOSOpenGLRenderWindow"


@functools.cache
def missing_for_views() -> str | None:
    """Why this machine cannot render off-screen, with the remedy; None when it can.

    Tried in another process, because a broken OpenGL set-up may end the process.
    """
    choose_window_class()
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=120, check=False)
    if "rendered" in probe.stdout:
        return None
    return f"VTK cannot render here: install the OpenGL libraries (Debian, Ubuntu: apt-get install {APT_PACKAGES_VIEWS})."


@functools.cache
def missing_for_panel() -> str | None:
    """Why this machine can show no panel with views, with the remedy; None when it can."""
    try:
        from PySide6 import QtWidgets  # noqa: F401
    except ImportError as error:
        packages = f"{APT_PACKAGES_VIEWS} {APT_PACKAGES_PANEL}"
        return f"PySide6 cannot be imported ({error}): install it and its libraries (apt-get install {packages})."
    return missing_for_views()
