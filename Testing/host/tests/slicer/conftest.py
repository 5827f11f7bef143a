"""Tests of the host itself, without Qt."""

from slicerhost.pytest_scene import clean_scene, host, pytest_pycollect_makemodule

__all__ = ["clean_scene", "host", "pytest_pycollect_makemodule"]
