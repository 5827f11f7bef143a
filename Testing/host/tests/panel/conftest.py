"""Tests of the host itself, with Qt and rendered views."""

from slicerhost.pytest_panel import (
    clean_panel,
    host,
    make_slice_view,
    make_three_d_view,
    pytest_pycollect_makemodule,
    show_view,
)

__all__ = ["clean_panel", "host", "make_slice_view", "make_three_d_view", "pytest_pycollect_makemodule", "show_view"]
