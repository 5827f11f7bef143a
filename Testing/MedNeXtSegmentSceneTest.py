"""Runs the scene tests (Testing/slicer) inside a real Slicer: registered in CMakeLists.txt, loaded by its file name."""

import importlib.util
import unittest
from pathlib import Path

# Whole: tests of the test host itself, which have no place in a real Slicer, are in a folder of their own (Testing/host/tests).
_FOLDER = Path(__file__).resolve().parent / "slicer"


class MedNeXtSegmentSceneTest(unittest.TestCase):
    """One unittest around pytest, which Slicer does not bring along."""

    @unittest.skipUnless(importlib.util.find_spec("pytest"), "pytest is not installed in this Slicer (pip_install('pytest'))")
    def test_scene_tests_pass(self) -> None:
        import pytest

        self.assertEqual(pytest.main([str(_FOLDER), "-p", "no:cacheprovider"]), 0)
