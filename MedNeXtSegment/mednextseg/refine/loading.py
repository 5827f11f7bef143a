"""Opening a prompter by name or path: `load_prompter`."""

from pathlib import Path

from mednextseg.models.library import NO_BUNDLED_MODELS, bundled_models_folder
from mednextseg.refine.prompter import Prompter


def load_prompter(name: str | Path, device: str = "cpu", family: str | None = None) -> Prompter:
    """Open a prompter.

    Args:
        name: "clicknet" (the bundled network), "random_walker" (no weights), or the path of a ClickNet package folder or of a
            SAM-Med2D, SAM or MedSAM checkpoint.
        device: a torch device name.
        family: "sam", "medsam" or "sam_med2d" for a checkpoint; needed where its tensor names cannot tell (SAM from MedSAM).
    Raises:
        ValueError: for a name that is none of these.
        FileNotFoundError: where the bundled weights or the path are absent.
    """
    # Imported on demand: importing `mednextseg.refine` must cost nothing.
    if str(name) == "random_walker":
        from mednextseg.refine.prompters.random_walker import RandomWalkerPrompter  # noqa: PLC0415

        return RandomWalkerPrompter()
    if str(name) == "clicknet" or Path(name).is_dir():
        from mednextseg.refine.prompters.click_net import ClickNetPrompter  # noqa: PLC0415

        bundled = bundled_models_folder()
        if str(name) == "clicknet" and not bundled.is_dir():
            raise FileNotFoundError(f"there is no ClickNet: {NO_BUNDLED_MODELS}; install it, or use random_walker.")
        folder = bundled / "clicknet" if str(name) == "clicknet" else Path(name)
        return ClickNetPrompter.from_folder(folder, device)
    if Path(name).is_file():
        from mednextseg.refine.prompters.sam_med2d import SamPrompter  # noqa: PLC0415

        return SamPrompter.from_checkpoint(Path(name), device, family)
    raise ValueError(f'there is no prompter "{name}"; allowed are "clicknet", "random_walker", or the path of a model.')
