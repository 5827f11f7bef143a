"""The images of pairs are registered by Slicer, one pair after the other, before the worker gets them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

from mednextseg.files import make_folder, write_text
from mednextseg.json_values import read_json_object
from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Scene.RigidRegistration import RigidRegistration
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

_FILE = "registrations.json"


class PairRegistration:
    """Registers the known image of each pair to its new one, by their first channels.

    What was found is kept in the folder of the run: found again, it would differ a little, and a training that was stopped could not go
    on with it.

    Args:
        pairs: (known, new), each a volume node or a list of one for each channel.
        run: is told how far it is.
        onFinished: called once: with the matrix that moves each known image, or with one sentence that says why there are none.
    """

    def __init__(self, pairs: Sequence[tuple], run: AdaptRun, onFinished: Callable[[list[np.ndarray] | str], None]) -> None:
        self._pairs = [tuple(image[0] if isinstance(image, list | tuple) else image for image in pair) for pair in pairs]
        self._keys = [_key(pair) for pair in self._pairs]
        self._run, self._onFinished = run, onFinished
        self._file = make_folder(run.folder) / _FILE
        self._found = _kept(self._file)
        self._current: RigidRegistration | None = None

    def start(self) -> None:
        """Begin with the first pair, or go on with the next."""
        left = [(key, pair) for key, pair in zip(self._keys, self._pairs, strict=True) if key not in self._found]
        if not left:
            self._current = None
            self._onFinished([np.array(self._found[key]) for key in self._keys])
            return
        key, pair = left[0]
        self._run.reportProgress(Progress(_("registering {name}").format(name=pair[1].GetName()), 0.0, None))
        self._current = RigidRegistration(*pair, lambda result: self._onPair(key, result))

    def cancel(self) -> None:
        """End it now."""
        self.stop()
        self._onFinished(_("The registration was stopped."))

    def stop(self) -> None:
        """End it; nobody is told."""
        if self._current is not None:
            self._current.stop()
            self._current = None

    def _onPair(self, key: str, result: np.ndarray | str) -> None:
        if isinstance(result, str):
            self._current = None
            self._onFinished(result)
            return
        self._found[key] = result.tolist()
        write_text(self._file, json.dumps(self._found, indent=1) + "\n")
        self.start()


def _kept(file: Path) -> dict[str, list]:
    return read_json_object(file) if file.is_file() else {}


def _key(pair: tuple) -> str:
    """Of the images as they are and lie now: others may have their names, in this scene or in a later one."""
    content = hashlib.sha256()
    for node in pair:
        array_kji, geometry = arrayAndGeometryFromVolume(node)
        content.update(np.ascontiguousarray(array_kji))
        content.update(np.ascontiguousarray(geometry.ijk_to_ras))
    return " -> ".join(node.GetName() for node in pair) + f" ({content.hexdigest()[:16]})"
