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
SLICER_SIDE = [
    MODULE / "MedNeXtSegment.py",
    *sorted((MODULE / "MedNeXtSegmentLib").rglob("*.py")),
    *sorted((MODULE / "MedNeXtSegmentEffect").rglob("*.py")),
]
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
    assert packages == found


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
        "import mednextseg.refine.prompters.random_walker, mednextseg.refine.refinement",
    ],
)
def test_light_modules_import_nothing_heavy(statement: str) -> None:
    assert not modules_after(statement) & {"torch", "monai", "SimpleITK", "matplotlib"}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports by name, functions included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


@pytest.mark.parametrize("path", SLICER_SIDE, ids=lambda p: str(p.relative_to(MODULE)))
def test_the_slicer_side_imports_torch_nowhere(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & {"torch", "monai", "PySide6", "slicerhost"}


def test_the_module_file_knows_only_the_doors_of_its_packages() -> None:
    """MedNeXtSegment.py is wiring: import-linter, which reads packages, holds everything behind it."""
    own = {".".join(name.split(".")[:2]) for name in imports_of(MODULE / "MedNeXtSegment.py") if "MedNeXtSegmentLib." in name}
    assert own == {f"MedNeXtSegmentLib.{door}" for door in ("ModuleLogic", "ModulePanel", "ModuleStartup")}
    assert not any(name.split(".")[0] == "mednextseg" for name in imports_of(MODULE / "MedNeXtSegment.py"))


@pytest.mark.parametrize("path", [p for p in SLICER_SIDE if p.stem.endswith("Logic")], ids=lambda p: p.stem)
def test_logic_knows_no_widgets(path: Path) -> None:
    """So that scripts and tests run it without Qt; a panel may know its logic, never the reverse."""
    parts = {part for name in imports_of(path) for part in name.split(".")}
    assert not parts & {"qt", "ctk", "Widgets"} and not any(part.endswith("Panel") for part in parts)


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


def packages_of_the_engine(extras: bool = False) -> dict[str, str]:
    """Package -> version requirement, as pyproject.toml lists them; with the optional ones, or without."""
    tomllib = pytest.importorskip("tomllib", reason="tomllib is part of Python from 3.11 on")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project.get("optional-dependencies", {}).values() for line in extra),
    ]
    lines = listed if extras else project["dependencies"]
    return dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in lines)


def test_what_the_engine_imports_comes_with_it() -> None:
    """Also inside functions: whoever installs the engine must not learn of a package from a traceback."""
    own = {*sys.stdlib_module_names, "mednextseg"}
    foreign = {name.split(".")[0] for path in (MODULE / "mednextseg").rglob("*.py") for name in imports_of(path)} - own
    foreign -= {"triton", "PIL"}  # come with PyTorch, where there is an NVIDIA card, and with matplotlib
    assert foreign <= set(packages_of_the_engine(extras=True))


def test_slicer_and_the_worker_ask_for_the_same_packages() -> None:
    from mednextseg.worker.operations.environment import PACKAGES

    packages = packages_of_the_engine()
    assert set(PACKAGES) == set(packages)
    tree = ast.parse((MODULE / "MedNeXtSegmentLib" / "Setup" / "Dependencies.py").read_text(encoding="utf-8"))
    values = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    torch_requirement, kept = (ast.literal_eval(values[name]) for name in ("TORCH_REQUIREMENT", "KEPT_AS_THEY_ARE"))
    asked = {
        ast.literal_eval(key): torch_requirement if isinstance(value, ast.Name) else ast.literal_eval(value)
        for key, value in zip(values["REQUIREMENTS"].keys, values["REQUIREMENTS"].values, strict=True)
    }
    assert asked == {name: version for name, version in packages.items() if name not in kept}
