"""Tests of the Slicer side on a real MRML scene, without Qt."""

from slicerhost.pytest_scene import clean_scene, host, pytest_pycollect_makemodule

__all__ = ["clean_scene", "host", "pytest_pycollect_makemodule"]
