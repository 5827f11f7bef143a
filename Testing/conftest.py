"""What every layer of tests shares: where the data beside the checkout lies, hypothesis without a time limit, and --shuffle."""

import ctypes
import importlib.util
import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_CHECKS = [HealthCheck.function_scoped_fixture]
# Every run tries the same few inputs, so that a change is judged by itself and soon; --hypothesis-profile=explore tries others, and more.
settings.register_profile("suite", deadline=None, suppress_health_check=_CHECKS, derandomize=True, max_examples=30)
settings.register_profile("explore", deadline=None, suppress_health_check=_CHECKS)
settings.load_profile("suite")

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = Path(os.environ.get("MEDNEXTSEG_SHARED", _ROOT.parent / "shared"))


def _folder(name: str) -> Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the {name} folder beside the checkout is absent (or set MEDNEXTSEG_SHARED)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder_of_this_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that count what is left in the temporary folder must not see what the processes beside them do there."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


def pytest_configure() -> None:
    """Load Triton's library before anything draws, since a training will.

    Triton and Mesa, which draws without a graphics card, each bring an LLVM. Triton's ends the process where Mesa's is there already, and
    the order of the test files depends on how many processes share them. Triton itself is imported later, by those who set it up first.
    """
    found = importlib.util.find_spec("triton")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        for library in Path(folder).glob("_C/libtriton*.so"):
            ctypes.CDLL(str(library))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length, because packed bytes carry the second of their making and the processes of a run must agree on names."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the test files, and the tests of each file, in random order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    generator = random.Random(seed)
    # File by file, because many files share one worker process that takes seconds to start.
    files = [list(tests) for _, tests in itertools.groupby(items, key=lambda item: item.path)]
    generator.shuffle(files)
    for tests in files:
        generator.shuffle(tests)
    items[:] = itertools.chain.from_iterable(files)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real labeled images; tests that use them skip where the folder is absent."""
    return _folder("data")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Reference outputs of the official networks; tests that use them skip where the folder is absent."""
    return _folder("golden")
