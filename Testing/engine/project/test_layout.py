"""The project's own rules: everything is packaged, nothing heavy is imported early."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mednextseg.models.library import bundled_models_folder, verify_model
from mednextseg.models.model_card import read_card

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedNeXtSegment"
RESOURCES = ("*.ui", "*.png", "*.svg", "*.json", "*.safetensors", "LICENSE", "*.jsonl")


def listed_in_cmake() -> set[str]:
    return set(re.findall(r"^\s+([\w./-]+)\s*$", (MODULE / "CMakeLists.txt").read_text(), flags=re.MULTILINE))


def test_every_script_and_resource_is_listed_in_cmake() -> None:
    """A file that CMake does not know works in the source tree and is absent from the installed extension."""
    scripts = {str(path.relative_to(MODULE)) for path in MODULE.rglob("*.py")}
    resources = {str(path.relative_to(MODULE)) for pattern in RESOURCES for path in (MODULE / "Resources").rglob(pattern)}
    resources |= {str(path.relative_to(MODULE)) for path in (MODULE / "mednextseg").rglob("*.json")}
    listed = listed_in_cmake()
    assert sorted((scripts | resources) - listed) == []
    assert sorted(name for name in listed if "/" in name and not (MODULE / name).exists()) == []


def test_every_package_of_the_engine_is_installed() -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib is part of Python from 3.11 on")
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(MODULE).parts) for path in (MODULE / "mednextseg").rglob("__init__.py")}
    assert packages == found | {"mednextseg.bundled_models"}


def modules_after(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import mednextseg",
        "import mednextseg.models.model_card, mednextseg.models.library, mednextseg.labels.terminology",
        "import mednextseg.geometry, mednextseg.segment.roi",
        "import mednextseg.cli",
    ],
)
def test_light_modules_import_nothing_heavy(statement: str) -> None:
    assert not modules_after(statement) & {"torch", "monai", "SimpleITK", "matplotlib"}


@pytest.mark.parametrize(
    "path", sorted(MODULE.glob("*.py")) + sorted((MODULE / "MedNeXtSegmentLib").glob("*.py")), ids=lambda p: p.name
)
def test_the_slicer_side_imports_torch_nowhere(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    assert not names & {"torch", "monai", "PySide6", "slicerhost"}


@pytest.mark.parametrize("folder", sorted(p.parent for p in bundled_models_folder().glob("*/card.json")), ids=lambda p: p.name)
def test_bundled_models_are_whole_and_small_enough(folder: Path) -> None:
    card = read_card(folder)
    assert verify_model(folder) == []
    assert card.id == folder.name and card.weights_license and card.training_data
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 25_000_000


def test_the_pickles_rule_no_torch_load_without_weights_only() -> None:
    """Every torch.load in the engine states weights_only=True, or goes through the restricted unpickler."""
    offenders = []
    for path in (MODULE / "mednextseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads"):
                arguments = {k.arg: ast.unparse(k.value) for k in node.keywords}
                safe = arguments.get("weights_only") == "True" or "pickle_module" in arguments
                if not safe:
                    offenders.append(f"{path.name}:{node.lineno}")
    assert offenders == []
