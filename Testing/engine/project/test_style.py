"""The project's own style: short files and functions, docstrings that say what a thing is, one spelling."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedNeXtSegment"
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 50
# What docstrings list after the line that says what a thing is.
SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:")
# Beginnings and ends are left open: "colour" finds "colours" and "discoloured" too. "cancelled" and "catalogue" are spelled so in the
# United States as well, and names of structures come from data sets in either spelling ("tumour", "oesophagus").
BRITISH = (
    "analysed analysing behaviour centre colour defence favour fibre grey honour initialis labelled labelling learnt licence litre metre "
    "minimise maximise misspelt modelled neighbour normalis optimise organise randomis realise recognis serialis standardis summaris "
    "visualis"
).split()
# Words of files and scripts that users already have, read under these names for good.
STORED = {
    "MedNeXtSegment/mednextseg/adapt/click_net/recipe.py": ("licence", "unlabelled_volumes"),
    "MedNeXtSegment/mednextseg/adapt/click_net/training.py": ("licence",),
    "Testing/host/refine_bench.py": ("CENTRE_RAS",),
}


def product_files() -> list[tuple[str, str]]:
    """(Path from the repository's root, text) of every Python file of the extension."""
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in sorted(MODULE.rglob("*.py"))]


def test_docstrings_begin_with_what_the_thing_is() -> None:
    offenders = []
    for name, text in product_files():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and (ast.get_docstring(node) or "").startswith(SECTIONS):
                offenders.append(f"{name}: {node.name}")
    assert offenders == []


def test_files_and_functions_are_short() -> None:
    offenders = []
    for name, text in product_files():
        if (lines := len(text.splitlines())) > MAX_FILE_LINES:
            offenders.append(f"{name} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES:
                offenders.append(f"{name}: {node.name} has {lines} lines")
    assert offenders == []


def test_spelling_is_that_of_the_united_states() -> None:
    british = re.compile("|".join(BRITISH), flags=re.IGNORECASE)
    texts = [path for folder in (MODULE, ROOT / "Testing") for ending in ("*.py", "*.ui") for path in folder.rglob(ending)]
    offenders = []
    for path in sorted(texts):
        name = str(path.relative_to(ROOT))
        if path == Path(__file__).resolve():
            continue
        text = path.read_text(encoding="utf-8")
        for word in STORED.get(name, ()):
            text = text.replace(word, "")
        offenders += [f"{name}: {word}" for word in sorted(set(british.findall(text)))]
    assert offenders == []
