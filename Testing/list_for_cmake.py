"""Write MedNeXtSegment/CMakeLists.txt: every script and resource, listed. Run it after adding a file."""

from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "MedNeXtSegment"
_RESOURCE_ENDINGS = (".ui", ".png", ".svg", ".json", ".jsonl", ".safetensors", "LICENSE")
_TEMPLATE = """\
#-----------------------------------------------------------------------------
set(MODULE_NAME MedNeXtSegment)

#-----------------------------------------------------------------------------
# Written by Testing/list_for_cmake.py; a test fails where a file is missing.
set(MODULE_PYTHON_SCRIPTS
{scripts}
)

set(MODULE_PYTHON_RESOURCES
{resources}
)

#-----------------------------------------------------------------------------
slicerMacroBuildScriptedModule(
  NAME ${{MODULE_NAME}}
  SCRIPTS ${{MODULE_PYTHON_SCRIPTS}}
  RESOURCES ${{MODULE_PYTHON_RESOURCES}}
  WITH_GENERIC_TESTS
)

#-----------------------------------------------------------------------------
if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT ${{MODULE_NAME}}.py)
endif()
"""


def main() -> None:
    """Write the file."""
    scripts = sorted(str(path.relative_to(MODULE)) for path in MODULE.rglob("*.py"))
    files = [path for path in MODULE.rglob("*") if path.is_file() and path.name.endswith(_RESOURCE_ENDINGS)]
    hidden = ("__pycache__", ".import_linter_cache", ".hypothesis")
    resources = sorted(str(path.relative_to(MODULE)) for path in files if not set(path.parts) & set(hidden))
    text = _TEMPLATE.format(scripts="\n".join(f"  {s}" for s in scripts), resources="\n".join(f"  {r}" for r in resources))
    (MODULE / "CMakeLists.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
