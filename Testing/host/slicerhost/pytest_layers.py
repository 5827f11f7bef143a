"""What the conftest files of Testing/slicer and Testing/panel share."""

import pytest


class SkippedModule(pytest.Module):
    """A test file that cannot run here: skipped whole, for one reason, without being imported."""

    reason = ""

    def collect(self):
        pytest.skip(self.reason, allow_module_level=True)


def skipped_module(parent, module_path, reason: str) -> SkippedModule:
    """The collector for a test file that is to be skipped.

    Args:
        parent, module_path: as pytest_pycollect_makemodule gets them.
        reason: one sentence: what is missing and how to install it.
    """
    module = SkippedModule.from_parent(parent, path=module_path)
    module.reason = reason
    return module


def missing_for_scene() -> str | None:
    """Why there can be no MRML scene here, with the remedy; None when there can."""
    try:
        import slicer  # noqa: F401
    except ImportError as error:
        return f"slicer-core cannot be imported ({error}): pip install -r Testing/host/requirements.txt."
    return None
