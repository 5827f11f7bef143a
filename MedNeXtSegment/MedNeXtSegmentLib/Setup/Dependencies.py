"""Which Python packages the computation needs, and how they get there: only when the user asks for it."""

import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from slicer.i18n import tr as _

# torch comes from the PyTorch extension, which chooses the build that fits the graphics card.
TORCH_REQUIREMENT = ">=2.4"
REQUIREMENTS = {
    "torch": TORCH_REQUIREMENT,
    "scipy": ">=1.11",
    "safetensors": ">=0.4",
    "tqdm": ">=4.66",
    "monai": ">=1.5",
    "matplotlib": ">=3.8",
}
# Where a server computes: what corrects slices in Slicer's process, and the relay to the server.
SERVER_REQUIREMENTS = {"scipy": REQUIREMENTS["scipy"], "websockets": ">=15"}
# Slicer is built against its own; an installation must never exchange them.
KEPT_AS_THEY_ARE = ("numpy", "SimpleITK")


def installedVersions(requirements: dict[str, str]) -> dict[str, str | None]:
    """Package -> version in Slicer's Python, None where it is absent. Nothing is imported."""
    versions: dict[str, str | None] = {}
    for name in requirements:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


class Installer:
    """Installs what is missing into Slicer's Python.

    Args:
        pipInstall: takes the arguments of `pip install` as a list; slicer.util.pip_install in Slicer.
        installTorch: as PyTorchUtils.PyTorchUtilsLogic().installTorch.
        requirements: package -> version requirement.
    """

    def __init__(
        self,
        pipInstall: Callable[[list[str]], None],
        installTorch: Callable[[], object],
        requirements: dict[str, str] | None = None,
    ) -> None:
        self._pipInstall, self._installTorch = pipInstall, installTorch
        self.requirements = REQUIREMENTS if requirements is None else requirements

    def missing(self) -> list[str]:
        """Names of the packages that are not installed."""
        return [name for name, version in installedVersions(self.requirements).items() if version is None]

    def installMissing(self, wheelsFolder: str | Path | None = None) -> None:
        """Install the missing packages.

        Args:
            wheelsFolder: take everything from the wheel files in this folder, without any network; None for the network.
        Raises:
            ValueError: where the folder has no wheel file.
            RuntimeError: where the user declined, or an installation failed, in one sentence.
        """
        missing = self.missing()
        offline = _offlineArguments(wheelsFolder) if wheelsFolder else []
        if "torch" in missing and not offline:
            missing.remove("torch")
            if self._installTorch() is None:
                raise RuntimeError(_("PyTorch was not installed, because the installation was declined."))
        if not missing:
            return
        with tempfile.TemporaryDirectory(prefix="mednextseg-pip-") as folder:
            constraints = Path(folder) / "constraints.txt"
            kept = installedVersions(dict.fromkeys(KEPT_AS_THEY_ARE, ""))
            constraints.write_text(
                "".join(f"{name}=={version}\n" for name, version in kept.items() if version), encoding="utf-8"
            )
            wanted = [f"{name}{self.requirements[name]}" for name in missing]
            self._pipInstall([*offline, "--constraint", str(constraints), *wanted])


def slicerInstaller() -> Installer:
    """The installer of a real Slicer."""
    import slicer

    return Installer(slicer.util.pip_install, installTorchWithExtension)


def installTorchWithExtension() -> object:
    """Let the PyTorch extension ask the user and install; None where the user declined.

    Raises:
        RuntimeError: where the extension is not installed.
    """
    try:
        import PyTorchUtils
    except ModuleNotFoundError as error:
        text = _(
            "PyTorch comes with the PyTorch extension: install it in the Extensions Manager, restart Slicer and try again."
        )
        raise RuntimeError(text) from error
    return PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT)


def _offlineArguments(wheelsFolder: str | Path) -> list[str]:
    if not any(Path(wheelsFolder).glob("*.whl")):
        text = _("The folder {folder} has no wheel files (*.whl); choose the folder they are in, or none to use the network.")
        raise ValueError(text.format(folder=wheelsFolder))
    return ["--no-index", "--find-links", str(wheelsFolder)]
