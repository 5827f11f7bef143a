"""Putting model packages into the library and taking them out: from a folder, a zip or a URL; as one zip for another machine.

Everything is done under a temporary name inside the library and renamed at the end, so that a refused, cancelled or interrupted
installation leaves nothing behind.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from mednextseg.errors import Cancelled
from mednextseg.files import check_writable
from mednextseg.models.install.download import download
from mednextseg.models.install.licenses import LicenseNotAcceptedError, check_license
from mednextseg.models.install.package_zip import holds_package, unpack_zip, write_zip
from mednextseg.models.install.workspace import DOWNLOADS, doomed_name, workspace
from mednextseg.models.library import (
    bundled_models_folder,
    find_model,
    library_folder,
    package_folder_name,
    sha256_of,
    verify_model,
)
from mednextseg.models.model_card import CARD_FILE, ModelCard, read_card


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
        accept_license: the user has read and accepts the license of the weights.
        progress: called with the bytes so far and the bytes in all (None where a server does not say).
        cancelled: asked between blocks; returns True to stop.
    Returns:
        The package's folder in the library.
    Raises:
        FileNotFoundError: where there is no such path.
        LicenseNotAcceptedError: where the license restricts use and was not accepted yet.
        ValueError: for a package that is hostile, damaged or installed already.
        ConnectionError: where the server of an address cannot be reached or answers with an error.
        Cancelled: where the caller stopped; a download can be continued.
    """
    library = library_folder()
    library.mkdir(parents=True, exist_ok=True)
    if urlsplit(str(source)).scheme in ("http", "https"):
        return _install_address(str(source), sha256, library, accept_license, progress, cancelled)
    path = Path(source)

    def report(done: int, total: int) -> None:
        _check(cancelled)
        if progress is not None:
            progress(done, total)

    if path.is_dir():
        with workspace(library, "installing") as folder:
            _copy_package(path, folder / "package", report)
            return _place(folder / "package", library, accept_license)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; give a model folder, a zip or an address.")
    check_sha256(path, sha256)
    size = path.stat().st_size
    return _install_zip(path, library, accept_license, lambda fraction: report(round(fraction * size), size))


def is_package(source: str | Path) -> bool:
    """Whether `install` takes it: an address, a folder with a card, or a zip with one. Anything else is for the importers."""
    if urlsplit(str(source)).scheme in ("http", "https"):
        return True
    path = Path(source)
    return (path / CARD_FILE).is_file() or (path.is_file() and path.suffix.lower() == ".zip" and holds_package(path))


def check_sha256(path: Path, sha256: str | None) -> None:
    """Make sure that a file is the one that was meant; None for any.

    Raises:
        ValueError: for a file with another hash, or a folder, which has none.
    """
    if sha256 is None:
        return
    if not path.is_file():
        raise ValueError(f"{path} is no file, so it has no SHA-256 to compare; give the file itself.")
    if sha256_of(path) != sha256.lower():
        raise ValueError(f"{path.name} is not the expected file: its SHA-256 differs; get it again.")


def export_model(model: str | Path, target: str | Path) -> Path:
    """Write a model as one zip that `install` takes on another machine, without a network.

    Args:
        model: id, id@version or folder.
        target: the zip; a folder gets a file named after the model.
    Raises:
        ValueError: for an unknown or damaged model, or a name that does not end in .zip.
        FileNotFoundError, PermissionError, OSError: where the zip cannot be written.
    """
    folder, target = find_model(model), Path(target)
    if target.is_dir():
        card = read_card(folder)
        target = target / f"{package_folder_name(card.id, card.version)}.zip"
    check_writable(target, (".zip",), needed_bytes=size_bytes(folder))
    problems = verify_model(folder)
    if problems:
        raise ValueError(f"the model {folder.name} is damaged: {'; '.join(problems)}; install it again before exporting it.")
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
    doomed = folder.rename(doomed_name(library_folder(), "removing"))
    shutil.rmtree(doomed)
    return folder


def size_bytes(folder: Path) -> int:
    """Bytes of all files of a package."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _check(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise Cancelled("The installation was stopped; nothing was installed.")


def _install_address(
    address: str,
    sha256: str | None,
    library: Path,
    accept_license: bool,
    progress: Callable[[int, int | None], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Path:
    """Download a zip and install it; what was downloaded stays only where a second try can use it."""
    if sha256 is None:
        raise ValueError("a model is installed from an address only with the SHA-256 of its file; give it too.")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(urlsplit(address).path).name) or "model.zip"
    archive = download(address, library / DOWNLOADS / f"{sha256[:12]}-{name}", sha256, progress, cancelled)
    try:
        folder = _install_zip(archive, library, accept_license, lambda fraction: _check(cancelled))
    except LicenseNotAcceptedError:
        raise  # the file stays: the second try, with the license accepted, finds it
    except ValueError:
        archive.unlink()
        raise
    archive.unlink()
    return folder


def _install_zip(archive: Path, library: Path, accept_license: bool, report: Callable[[float], None]) -> Path:
    with workspace(library, "installing") as folder:
        return _place(unpack_zip(archive, folder, report), library, accept_license)


def _copy_package(source: Path, target: Path, report: Callable[[int, int], None]) -> None:
    """The files that a package consists of; links are refused, whatever they point at."""
    if not (source / CARD_FILE).is_file():
        raise ValueError(
            f"{source} is not a model package (it has no {CARD_FILE}); networks of other programs are converted by the importers."
        )
    links = [path for path in source.rglob("*") if path.is_symlink()]
    if links:
        raise ValueError(f"{source.name} holds the link {links[0].name!r}; it was not installed.")
    done, total = 0, size_bytes(source)
    for file in (path for path in sorted(source.rglob("*")) if path.is_file()):
        report(done, total)
        copied = target / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copied)
        done += copied.stat().st_size


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
