"""Putting model packages into the library and taking them out: from a folder, a zip or a URL; as one zip for another machine.

Everything is done under a temporary name inside the library and renamed at the end, so that a refused, cancelled or interrupted
installation leaves nothing behind.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mednextseg.models.download import download
from mednextseg.models.library import (
    bundled_models_folder,
    find_model,
    library_folder,
    package_folder_name,
    sha256_of,
    verify_model,
)
from mednextseg.models.licenses import check_license
from mednextseg.models.model_card import CARD_FILE, ModelCard, read_card
from mednextseg.models.package_zip import unpack_zip, write_zip


def install(
    source: str | Path,
    sha256: str | None = None,
    accept_license: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Install a model package; other versions of the same model stay beside it.

    Args:
        source: a folder, a zip, or an http(s) address of a zip. The network is used for an address only.
        sha256: of the zip; needed for an address, checked for a file where given.
        accept_license: the user has read and accepts the licence of the weights.
        progress, cancelled: of a download, see `download`.
    Returns:
        The package's folder in the library.
    Raises:
        FileNotFoundError: where there is no such path.
        LicenseNotAcceptedError: where the licence restricts use and was not accepted yet.
        ValueError: for a package that is hostile, damaged or installed already.
        ConnectionError, Cancelled: from the download.
    """
    library = library_folder()
    library.mkdir(parents=True, exist_ok=True)
    if urlsplit(str(source)).scheme in ("http", "https"):
        if sha256 is None:
            raise ValueError("a model is installed from an address only with the SHA-256 of its file; give it with --sha256.")
        name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(urlsplit(str(source)).path).name) or "model.zip"
        archive = download(str(source), library / ".downloads" / f"{sha256[:12]}-{name}", sha256, progress, cancelled)
        folder = _install_zip(archive, library, accept_license)
        archive.unlink()
        return folder
    path = Path(source)
    if path.is_dir():
        with _workspace(library) as workspace:
            _copy_package(path, workspace / "package")
            return _place(workspace / "package", library, accept_license)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; give a model folder, a zip or an address.")
    if sha256 is not None and sha256_of(path) != sha256.lower():
        raise ValueError(f"{path.name} is not the expected file: its SHA-256 differs; get it again.")
    return _install_zip(path, library, accept_license)


def export_model(model: str | Path, target: str | Path) -> Path:
    """Write a model as one zip that `install` takes on another machine, without a network.

    Args:
        model: id, id@version or folder.
        target: the zip; a folder gets a file named after the model.
    Raises:
        ValueError: for an unknown or damaged model.
    """
    folder = find_model(model)
    problems = verify_model(folder)
    if problems:
        raise ValueError(f"the model {folder.name} is damaged: {'; '.join(problems)}; install it again before exporting it.")
    card, target = read_card(folder), Path(target)
    if target.is_dir():
        target = target / f"{package_folder_name(card.id, card.version)}.zip"
    write_zip(folder, target)
    return target


def remove_model(model: str) -> Path:
    """Delete one installed model (id for the newest version, or id@version); returns the folder that is gone.

    Raises:
        ValueError: for an unknown model, or one that belongs to the extension.
    """
    folder = find_model(model).resolve()
    if folder.parent == bundled_models_folder().resolve():
        raise ValueError(f"{model} is part of the extension and cannot be removed.")
    if folder.parent != library_folder().resolve():
        raise ValueError(f"{folder} is not in the library; delete it yourself where that is meant.")
    # Renamed first: half a folder must not look like a model if the deletion is interrupted.
    doomed = folder.with_name(f".removing-{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)
    return folder


def size_bytes(folder: Path) -> int:
    """Bytes of all files of a package."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextmanager
def _workspace(library: Path) -> Iterator[Path]:
    """A temporary folder in the library, so that moving a package to its place is a rename."""
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=library) as folder:
        yield Path(folder)


def _install_zip(archive: Path, library: Path, accept_license: bool) -> Path:
    with _workspace(library) as workspace:
        return _place(unpack_zip(archive, workspace), library, accept_license)


def _copy_package(source: Path, target: Path) -> None:
    """The files that a package consists of; links are refused, whatever they point at."""
    if not (source / CARD_FILE).is_file():
        raise ValueError(
            f"{source} is not a model package (it has no {CARD_FILE}); networks of other programs are converted by the importers."
        )
    links = [path for path in source.rglob("*") if path.is_symlink()]
    if links:
        raise ValueError(f"{source.name} holds the link {links[0].name!r}; it was not installed.")
    shutil.copytree(source, target)


def _place(package: Path, library: Path, accept_license: bool) -> Path:
    """Check a package that lies in a workspace and move it to its place."""
    card: ModelCard = read_card(package)
    problems = verify_model(package)
    if problems:
        raise ValueError(f"the package {card.id} is damaged: {'; '.join(problems)}; get it again.")
    folder = library / package_folder_name(card.id, card.version)
    if folder.exists():
        raise ValueError(f"{card.id} {card.version} is installed already; remove it first to install it anew.")
    check_license(card, package, accept_license)
    package.rename(folder)
    return folder
