"""The panel for tests of the set-up section without a run."""

from panel_without_worker import library, panel, widget

__all__ = ["library", "panel", "widget"]
