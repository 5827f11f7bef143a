"""The entry for Slicer's Extensions Index says what CMakeLists.txt says."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENTRY = ROOT / "docs" / "developers" / "MedNeXtSegment.json"
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def set_in_cmake(name: str) -> str:
    return re.search(rf'set\({name} "([^"]*)"\)', CMAKE)[1]


def test_the_entry_agrees_with_cmake() -> None:
    raw = ENTRY.read_bytes()
    entry = json.loads(raw)
    assert b"\r" not in raw
    assert ENTRY.stem == re.search(r"project\((\w+)\)", CMAKE)[1]
    assert entry["build_dependencies"] == set_in_cmake("EXTENSION_DEPENDS").split()
    assert entry["scm_url"] == set_in_cmake("EXTENSION_HOMEPAGE")
    assert (ROOT / entry["build_subdirectory"] / "CMakeLists.txt").is_file()


def test_icon_and_screenshots_are_files_of_this_repository() -> None:
    home = set_in_cmake("EXTENSION_HOMEPAGE").replace("github.com", "raw.githubusercontent.com") + "/main/"
    for address in [set_in_cmake("EXTENSION_ICONURL"), *set_in_cmake("EXTENSION_SCREENSHOTURLS").split()]:
        assert address.startswith(home) and (ROOT / address.removeprefix(home)).is_file()


def test_the_citation_names_the_version_of_the_package() -> None:
    version = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
