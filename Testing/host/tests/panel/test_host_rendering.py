"""Machines that cannot render get one sentence, and their panel tests are skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slicerhost.views import rendering


@pytest.fixture
def without_display(monkeypatch):
    """A VTK that insists on an X server where there is none."""
    if not sys.platform.startswith("linux"):
        pytest.skip("X servers are Linux's")
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkXOpenGLRenderWindow")
    monkeypatch.delenv("DISPLAY", raising=False)


def test_a_machine_that_cannot_render_is_told_what_to_install(without_display):
    reason = rendering.missing_for_views.__wrapped__()  # not the cached answer of this session
    assert reason.endswith("(Debian, Ubuntu: apt-get install libegl1 libgl1).")


def test_panel_tests_are_skipped_whole_with_that_reason(without_display):
    panel_folder = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(panel_folder / "test_host_markups.py")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=panel_folder.parents[1], check=False, timeout=300)
    assert "1 skipped" in result.stdout, result.stdout
    assert "VTK cannot render here: install the OpenGL libraries" in result.stdout


def test_the_choice_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    rendering.choose_window_class()
    assert os.environ["VTK_DEFAULT_OPENGL_WINDOW"] == "vtkOSOpenGLRenderWindow"
