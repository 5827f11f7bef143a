"""What every promptable network looks like from outside. numpy only: Slicer's process imports it too."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from mednextseg.errors import Cancelled
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.strokes import mask_after_lassos

Cancel = Callable[[], bool]  # asked between the parts of a prediction; True raises PromptCancelledError


class PromptCancelledError(Cancelled):
    """A newer prompt has made this prediction pointless."""


@dataclass(frozen=True)
class PrompterInfo:
    """Which network or method a prompter is, and what it understands.

    Attributes:
        name: "clicknet", "random_walker", "sam_med2d", ...
        model_hash: SHA-256 of the weights, or of the method's version where there are none; goes into the prompt journal.
        needs_encode: whether `encode` is costly, so that its results are worth caching.
        prompt_kinds: of "point", "box", "mask", "scribble" and "lasso", what it understands.
        native_size_px: side of the square the network works on.
        device: torch device name, or "cpu".
        license: of the weights.
        memory_bytes: what the weights take while they are loaded; 0 where there are none.
    """

    name: str
    model_hash: str
    needs_encode: bool
    prompt_kinds: tuple[str, ...] = ("point", "box", "mask", "scribble", "lasso")
    native_size_px: int = 256
    device: str = "cpu"
    license: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, eq=False)
class Embedding:
    """An encoded slice. Immutable, so that it may be cached and used from any thread.

    Attributes:
        image_rc: (H, W) float32 in [0, 1], the slice from black to white.
        spacing_rc_mm: distance of pixel centers along rows and columns.
        features: what the network needs besides; None for networks that encode nothing.
    """

    image_rc: np.ndarray
    spacing_rc_mm: tuple[float, float] = (1.0, 1.0)
    features: Any = None

    @property
    def nbytes(self) -> int:
        """Memory this embedding holds."""
        return self.image_rc.nbytes + int(getattr(self.features, "nbytes", 0))


@dataclass(frozen=True, eq=False)
class Result:
    """What a prompter makes of the prompts on a slice.

    Attributes:
        probability: (H, W) float32 in [0, 1]; the mask is probability > 0.5.
        score: the quality the network expects of its mask (Dice or IoU) in [0, 1]; NaN where it does not say.
        state: handed back with the next prompt on the same slice; what it is, is the prompter's own business.
    """

    probability: np.ndarray
    score: float = float("nan")
    state: Any = field(default=None, repr=False)

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool."""
        return self.probability > 0.5


class Completion(Protocol):
    """A network that completes an object in a cube; see refine/completion."""

    size: int

    def log_odds(self, channels: np.ndarray) -> np.ndarray:
        """(Z, Y, X) of the object, of channels (5, Z, Y, X)."""


class Prompter(Protocol):
    """A promptable method. Both calls are free of state and safe from several threads.

    Attributes:
        info: which it is.
    """

    info: PrompterInfo

    @property
    def completion(self) -> Completion | None:
        """What completes whole objects; None leaves that to a random walk."""

    def encode(
        self,
        image_rc: np.ndarray,
        spacing_rc_mm: tuple[float, float] = (1.0, 1.0),
        display_range: tuple[float, float] | None = None,
    ) -> Embedding:
        """Prepare a slice.

        Args:
            image_rc: (H, W) intensities in any unit, or (H, W, 3) colors.
            spacing_rc_mm: distance of pixel centers.
            display_range: intensities shown black and white; None takes the 0.5 and 99.5 percentiles.
        """

    def predict(self, embedding: Embedding, prompts: Prompts, state: Any = None, cancel: Cancel | None = None) -> Result:
        """Answer prompts.

        Args:
            embedding: of this prompter's `encode`.
            prompts: all prompts on the slice, not only the last one.
            state: `Result.state` of the round before on the same slice, or None.
            cancel: returns True when the answer is not wanted any more.
        Raises:
            PromptCancelledError: when `cancel` said so.
            ValueError: where there are no prompts, or a mask prompt of another size than the slice.
        """


def scaled_to_display(image_rc: np.ndarray, display_range: tuple[float, float] | None) -> np.ndarray:
    """A slice scaled so that the displayed range is [0, 1], clipped; colors become luminance.

    Raises:
        ValueError: for an array that is neither (H, W) nor (H, W, 3), or holds no finite value.
    """
    image = np.asarray(image_rc, dtype=np.float32)
    if image.ndim == 3 and image.shape[2] == 3:
        image = image @ np.array([0.299, 0.587, 0.114], np.float32)
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"a slice is (rows, cols), or (rows, cols, 3) for colors, got {np.shape(image_rc)}.")
    finite = np.isfinite(image)
    if not finite.any():
        raise ValueError("the slice holds no finite intensity; nothing can be segmented there.")
    if display_range is None or not np.isfinite(display_range).all():  # a display of infinite intensities says nothing
        low, high = np.percentile(image[finite], (0.5, 99.5))
    else:
        low, high = display_range
    if high <= low:
        low, high = float(image[finite].min()), float(image[finite].max())
    image = np.where(finite, image, low)
    return np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)


def checked(embedding: Embedding, prompts: Prompts) -> None:
    """Raise ValueError where the prompts do not fit the slice."""
    if prompts.is_empty:
        raise ValueError("there is nothing to answer: give a point, a box, a stroke or a mask.")
    if prompts.mask is not None and prompts.mask.shape != embedding.image_rc.shape:
        shapes = f"{prompts.mask.shape}, the slice {embedding.image_rc.shape}"
        raise ValueError(f"the mask prompt has the shape {shapes}; resample the mask onto the slice.")


def only_takes_away(prompts: Prompts) -> bool:
    """Whether the prompts say nowhere what the object is: negative lassos alone."""
    says_where = len(prompts.points_rc) or prompts.box is not None or prompts.mask is not None
    return not says_where and all(stroke.is_lasso and not stroke.is_positive for stroke in prompts.strokes)


def started_by_lassos(prompts: Prompts, shape_rc: tuple[int, int]) -> Prompts:
    """Prompts without an earlier mask with what their lassos enclose in its place."""
    return prompts if prompts.mask is not None else prompts.with_mask(mask_after_lassos(None, prompts.strokes, shape_rc))


def obey_prompts(probability_rc: np.ndarray, prompts: Prompts) -> np.ndarray:
    """Set the pixels clicked, scribbled on, or enclosed by a negative lasso to what the user said; works in place and returns the array.

    Clicks win over strokes, and of strokes the later ones.
    """
    for stroke in prompts.strokes:
        if not (stroke.is_lasso and stroke.is_positive):  # which says roughly where the object is
            probability_rc[stroke.pixels(probability_rc.shape)] = float(stroke.is_positive)
    rows, cols = probability_rc.shape
    for (row, col), label in zip(prompts.points_rc, prompts.labels, strict=True):
        r, c = int(np.floor(row + 0.5)), int(np.floor(col + 0.5))
        if 0 <= r < rows and 0 <= c < cols:
            probability_rc[r, c] = float(label)
    return probability_rc
