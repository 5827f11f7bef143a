"""What the worker can be asked to do: one file a capability, each with its OPERATIONS by name.

An operation is a function (parameters, context) -> value: JSON values in; JSON values out, in which top-level numpy arrays become files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.json_values import listed
from mednextseg.models.model_card import CARD_FILE
from mednextseg.recently_used import RecentlyUsed
from mednextseg.worker.arrays import ArrayFolder
from mednextseg.worker.parameter_forms import check_form
from mednextseg.worker.serving.stores import VolumeStore

# Two networks are what one session works with, an automatic one and a prompt one, each with a spare.
_MODELS_KEPT = 2
_PROMPTERS_KEPT = 2
# Slices of one propagation and back; an embedding takes about 1 MB.
_EMBEDDINGS_KEPT = 64
# As many corrections as can be undone.
_ANSWERS_KEPT = 256


@dataclass
class WorkerState:
    """What is kept between requests; only the device thread touches it."""

    arrays: ArrayFolder
    volumes: VolumeStore = field(init=False)
    models: RecentlyUsed = field(default_factory=lambda: RecentlyUsed(_MODELS_KEPT))
    prompters: RecentlyUsed = field(default_factory=lambda: RecentlyUsed(_PROMPTERS_KEPT))
    embeddings: RecentlyUsed = field(default_factory=lambda: RecentlyUsed(_EMBEDDINGS_KEPT))
    answers: RecentlyUsed = field(default_factory=lambda: RecentlyUsed(_ANSWERS_KEPT))

    def __post_init__(self) -> None:
        self.volumes = VolumeStore(self.arrays)

    def release_networks(self) -> None:
        """Forget every network and what networks made, to make room after memory ran out."""
        for store in (self.models, self.prompters, self.embeddings, self.answers):
            store.clear()


@dataclass(frozen=True)
class Context:
    """What an operation may use.

    Attributes:
        state: kept between requests.
        progress: report a phase, the done fraction of the whole in [0, 1] and the seconds left (None while unknown).
        cancelled: whether the client asked to stop.
    """

    state: WorkerState
    progress: Callable[[str, float, float | None], None]
    cancelled: Callable[[], bool]

    @property
    def arrays(self) -> ArrayFolder:
        return self.state.arrays


Operation = Callable[[dict, Context], dict]


def required(parameters: dict, names: Sequence[str], optional: Sequence[str] = ()) -> list:
    """The values of the parameters, the optional ones None where absent.

    Raises:
        ValueError: naming what is missing, what is not known and so may be a slip, or what is of another form (see parameter_forms).
    """
    missing = [name for name in names if parameters.get(name) is None]
    unknown = sorted(set(parameters) - {*names, *optional})
    if missing or unknown:
        known = listed((*names, *(f"[{name}]" for name in optional)))
        problem = f"lacks {listed(missing)}" if missing else f"has no parameter {listed(unknown)}"
        raise ValueError(f"the request {problem}; its parameters are: {known}.")
    for name in (*names, *optional):
        check_form(name, parameters.get(name))
    return [parameters.get(name) for name in (*names, *optional)]


def model_key(folder: Path) -> tuple[str, int]:
    """Changes when a package is installed anew: then it is opened, and its weights verified, again."""
    return str(folder), (folder / CARD_FILE).stat().st_mtime_ns
