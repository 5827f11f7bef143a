"""Every name of the API page exists, has a docstring, and the page says what it is."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
NAMES = re.findall(r"^\| `(mednextseg[\w.]+)` \| \S", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_page_is_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)
    assert callable(found) and found.__doc__


def test_the_page_lists_something() -> None:
    assert len(NAMES) > 15
