"""The engine and its models from the wheels that `pip install . ./bundled_models` builds: nothing of the source tree is at hand."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
_USE = """
import json
import mednextseg
from mednextseg.labels.codes import coded_label
from mednextseg.models.library import installed_models
from mednextseg.refine import load_prompter
models = installed_models()
print(json.dumps({
    "package": mednextseg.__file__,
    "models": {name: str(folder) for name, folder in models.items()},
    "prompter": load_prompter("clicknet").info.name,
    "coded": bool(coded_label(1, "liver").terminology),
}))
"""


_MISS = """
import contextlib, sys
from mednextseg.cli import main
from mednextseg.models.library import find_model, installed_models
from mednextseg.refine import load_prompter
with contextlib.redirect_stderr(sys.stdout):
    assert main(["models", "list"]) == 0
assert installed_models() == {} and load_prompter("random_walker")
for ask in (lambda: find_model("brain-mr"), lambda: load_prompter("clicknet")):
    try:
        ask()
    except (ValueError, FileNotFoundError) as error:
        print(error)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of the package -> its wheel; built from a copy, since building writes beside the sources."""
    sources, built = (tmp_path_factory.mktemp(name) for name in ("sources", "wheels"))
    for name in ("pyproject.toml", "README.md", "LICENSE.txt"):
        shutil.copy(ROOT / name, sources)
    for name in ("MedNeXtSegment", "bundled_models"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    for folder in (sources, sources / "bundled_models"):
        subprocess.run([sys.executable, "-c", _BUILD, str(built)], cwd=folder, check=True, capture_output=True)
    return {wheel.name.partition("-")[0]: wheel for wheel in built.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of the package -> a folder with its unpacked wheel and nothing else."""
    places = {name: tmp_path_factory.mktemp(name) for name in wheels}
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(places[name])
    return places


def said(code: str, places: list[Path], folder: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), "MEDNEXTSEG_HOME": str(folder / "home")}
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_the_bundled_models_are_found_where_both_are_installed(installed: dict[str, Path], tmp_path: Path) -> None:
    found = json.loads(said(_USE, list(installed.values()), tmp_path)[-1])
    assert Path(found["package"]).is_relative_to(installed["mednextseg"]), "the source tree must not be what is tried"
    bundled = {path.parent.name for path in (ROOT / "MedNeXtSegment" / "Resources" / "Models").glob("*/card.json")}
    assert {Path(folder).name for folder in found["models"].values()} == bundled and len(bundled) >= 2
    assert all(Path(folder).is_relative_to(installed["mednextseg_models"]) for folder in found["models"].values())
    assert found["prompter"] == "clicknet" and found["coded"]


def test_the_engine_alone_is_small_and_says_where_its_models_are(
    wheels: dict[str, Path], installed: dict[str, Path], tmp_path: Path
) -> None:
    assert wheels["mednextseg"].stat().st_size < 2_000_000
    sentences = said(_MISS, [installed["mednextseg"]], tmp_path)
    assert len(sentences) == 3
    for sentence in sentences:
        assert "a package of their own, mednextseg-models (from a clone: pip install ./bundled_models)" in sentence
        assert sentence.endswith(".")


def test_every_data_file_of_the_engine_is_in_the_wheel(installed: dict[str, Path]) -> None:
    source = ROOT / "MedNeXtSegment" / "mednextseg"
    wanted = {path.relative_to(source) for pattern in ("*.py", "*.json") for path in source.rglob(pattern)}
    missing = [str(path) for path in wanted if not (installed["mednextseg"] / "mednextseg" / path).is_file()]
    assert missing == []
