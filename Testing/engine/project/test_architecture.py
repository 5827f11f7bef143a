"""The papers tell the truth about the tree: what the architecture page names exists, and every relative link leads somewhere."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedNeXtSegment"
PAGE = ROOT / "docs" / "developers" / "architecture.md"
# Where a name on the page may start: the Slicer side's folders begin with a capital, the engine's do not.
STARTS = (ROOT, MODULE, MODULE / "MedNeXtSegmentLib", MODULE / "mednextseg")
PAPERS = [
    *ROOT.glob("*.md"),
    *(path for folder in ("docs", "MedNeXtSegment", "Resources", "Testing") for path in (ROOT / folder).rglob("*.md")),
]
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|json|md|ui|toml|txt))")
# `file.py` (`name`, `name`): the definitions that a step of a flow goes through.
_STEP = re.compile(r"`([\w./]+\.py)` \((`\w+`(?:, `\w+`)*)\)")


def with_exact_case(start: Path, name: str) -> Path | None:
    """The file or folder `name` under `start`, in the spelling of the disk also where the disk does not mind case."""
    place = start
    for part in Path(name).parts:
        if not place.is_dir() or part not in {entry.name for entry in place.iterdir()}:
            return None
        place = place / part
    return place


def found(name: str) -> Path | None:
    return next((place for start in STARTS if (place := with_exact_case(start, name)) is not None), None)


def names_on_the_page() -> list[str]:
    """Paths in backticks, and those in the picture of the floors, which is indented."""
    text = PAGE.read_text(encoding="utf-8")
    picture = " ".join(re.findall(r"^    (.+)$", text, flags=re.MULTILINE))
    words = re.findall(r"`([^`\n]+)`", text) + [word.strip(",") for word in picture.split()]
    return [word for word in words if _PATH.fullmatch(word)]


def test_every_file_and_folder_named_on_the_page_exists() -> None:
    names = names_on_the_page()
    assert len(names) > 80, "the page has lost its lists"
    assert [name for name in names if found(name) is None] == []


def test_every_package_is_named_on_the_page() -> None:
    named = {place for name in names_on_the_page() if (place := found(name)) is not None}
    packages = {path.parent for path in MODULE.rglob("__init__.py")}
    assert sorted(str(path.relative_to(MODULE)) for path in packages - named) == []


def test_every_step_of_the_two_flows_is_defined_where_the_page_says() -> None:
    steps = _STEP.findall(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 20, "the page has lost its flows"
    lost = []
    for path, names in steps:
        file = found(path)
        tree = ast.parse("" if file is None else file.read_text(encoding="utf-8"))
        defined = {
            node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        }
        lost += [f"{path}: {name}" for name in re.findall(r"\w+", names) if name not in defined]
    assert lost == []


def anchors(paper: Path) -> set[str]:
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", paper.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(paper: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", paper.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        is_there = target.is_relative_to(ROOT) and with_exact_case(ROOT, str(target.relative_to(ROOT))) is not None
        if not is_there or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_paper_that_code_mentions_exists() -> None:
    missing = []
    for folder in (MODULE, ROOT / "Testing"):
        for path in folder.rglob("*.py"):
            mentioned = re.findall(r"\bdocs/[\w./-]+\.(?:md|json|png)\b", path.read_text(encoding="utf-8"))
            missing += [f"{path.relative_to(ROOT)}: {name}" for name in mentioned if not (ROOT / name).exists()]
    assert missing == []


def test_the_pictures_of_the_extension_are_where_its_addresses_say() -> None:
    addresses = re.findall(
        r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/main/([^\s\"]+)", (ROOT / "CMakeLists.txt").read_text()
    )
    assert len(addresses) >= 2
    assert [name for name in addresses if with_exact_case(ROOT, name) is None] == []
