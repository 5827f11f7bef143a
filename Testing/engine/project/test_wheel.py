"""The engine installed alone, from the wheel that `pip install` builds: nothing of the source tree is at hand."""

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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel; built from a copy, since building writes beside the sources."""
    sources, wheels, site = (tmp_path_factory.mktemp(name) for name in ("sources", "wheels", "site"))
    for name in ("pyproject.toml", "README.md", "LICENSE.txt"):
        shutil.copy(ROOT / name, sources)
    shutil.copytree(ROOT / "MedNeXtSegment", sources / "MedNeXtSegment", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", _BUILD, str(wheels)], cwd=sources, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    return site


def test_the_bundled_models_are_found_where_the_engine_is_installed_alone(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed), "MEDNEXTSEG_HOME": str(tmp_path / "home")}
    run = subprocess.run(
        [sys.executable, "-c", _USE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert Path(found["package"]).is_relative_to(installed), "the source tree must not be what is tried"
    bundled = {path.parent.name for path in (ROOT / "MedNeXtSegment" / "Resources" / "Models").glob("*/card.json")}
    assert {Path(folder).name for folder in found["models"].values()} == bundled and len(bundled) >= 2
    assert all(Path(folder).is_relative_to(installed) for folder in found["models"].values())
    assert found["prompter"] == "clicknet" and found["coded"]


def test_every_data_file_of_the_engine_is_in_the_wheel(installed: Path) -> None:
    source = ROOT / "MedNeXtSegment" / "mednextseg"
    wanted = {path.relative_to(source) for pattern in ("*.py", "*.json") for path in source.rglob(pattern)}
    missing = [str(path) for path in wanted if not (installed / "mednextseg" / path).is_file()]
    assert missing == []
