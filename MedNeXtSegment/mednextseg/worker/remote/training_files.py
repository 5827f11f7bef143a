"""What a training on the server leaves in its folder, as the panel reads it on its own disk: curves while it runs, the model at its end.

Checkpoints stay on the server, where the same request goes on with them.
"""

import re
import shutil
from pathlib import Path

from mednextseg.files import replacing
from mednextseg.worker.protocol import BAD_REQUEST, ProtocolError

# A place of the client's disk, by its hash: so the same place is the same folder, and says nothing.
PLACE = re.compile(r"[0-9a-f]{32}")
PACKAGE = "package"
_SHOWN = (".json", ".jsonl", ".txt", ".html")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MOST_PARTS = 8


class TrainingFiles:
    """The files of one training, each told of when it is new or changed.

    Args:
        folder: of the training.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told: dict[str, tuple[int, int]] = {}

    def changed(self, with_package: bool) -> list[str]:
        """Names below the folder, with slashes, since the last call: what is looked at while it runs, and with the new model at its end."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            wanted = with_package if name.parts[0] == PACKAGE else path.suffix in _SHOWN
            if not wanted or not path.is_file() or not all(map(_PART.fullmatch, name.parts)):
                continue
            state = path.stat()
            if self._told.get(name.as_posix()) != (state.st_mtime_ns, state.st_size):
                self._told[name.as_posix()] = state.st_mtime_ns, state.st_size
                found.append(name.as_posix())
        return found


def keep_file(folder: Path, name: object, content: Path) -> None:
    """Put a file that arrived at its place below a folder, whole or not at all; `content` is removed.

    Raises:
        ProtocolError: BAD_REQUEST, for a name that leads elsewhere.
        OSError: where the place cannot be written to.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if not 0 < len(parts) <= _MOST_PARTS or not all(map(_PART.fullmatch, parts)):
        content.unlink(missing_ok=True)
        raise ProtocolError(BAD_REQUEST, "the server names a file of a training that lies elsewhere.")
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        shutil.copyfile(content, temporary)
    content.unlink()
