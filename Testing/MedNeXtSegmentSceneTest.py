"""Runs the scene tests (Testing/slicer) inside a real Slicer: registered in CMakeLists.txt, loaded by its file name."""

import importlib.util
import unittest
from pathlib import Path

# Tests of the test host itself have no place in a real Slicer.
_FILES = ("test_slicer_bridge.py", "test_auto_segment_logic.py", "test_refine_logic.py")


class MedNeXtSegmentSceneTest(unittest.TestCase):
    """One unittest around pytest, which Slicer does not bring along."""

    @unittest.skipUnless(importlib.util.find_spec("pytest"), "pytest is not installed in this Slicer (pip_install('pytest'))")
    def test_scene_tests_pass(self) -> None:
        import pytest

        folder = Path(__file__).resolve().parent / "slicer"
        self.assertEqual(pytest.main([*(str(folder / name) for name in _FILES), "-p", "no:cacheprovider"]), 0)
