"""Many inputs, one after the other in a process that may hang or crash; what was found is kept in a file, so that a run can go on."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.outcomes import CRASH, FAULTS, HANG, REFUSED, RIGHT

_ROOT = Path(__file__).resolve().parents[2]
STATE_FILE = _ROOT / "build" / "fuzz" / "state.json"
# Of one input; far beyond what any takes, on a machine that others use: the first one of a kind waited 240 s for its imports there.
_PATIENCE_S = {"worker_kills": 1800.0}
_USUAL_PATIENCE_S = 600.0


class Child:
    """The process that tries inputs; started again where it hung or crashed."""

    def __init__(self) -> None:
        self._session = Path(tempfile.mkdtemp(prefix="mednextseg-fuzz-"))
        self._process: subprocess.Popen | None = None

    def attempt(self, kind: str, seed: int) -> tuple[str, str]:
        """As attempts.attempt; also HANG and CRASH."""
        if self._process is None:
            self._start()
        self._process.stdin.write(f"{kind} {seed}\n".encode())
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE_S.get(kind, _USUAL_PATIENCE_S))
        line = self._process.stdout.readline() if ready else b""
        if line:
            return tuple(json.loads(line))
        outcome = (CRASH, "") if ready else (HANG, f"no end after {_PATIENCE_S.get(kind, _USUAL_PATIENCE_S):.0f} s")
        status = self._end()
        return outcome if outcome[0] == HANG else (CRASH, f"the process ended with status {status}: {self._last_words()}")

    def close(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None:
            self._process.stdin.close()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._end()
        shutil.rmtree(self._session, ignore_errors=True)

    def _start(self) -> None:
        paths = [_ROOT / "MedNeXtSegment", _ROOT / "Testing", _ROOT / "Testing" / "engine"]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "fuzz", "--child", str(self._session)]
        with (self._session / "printed.txt").open("wb") as printed:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, env=variables, cwd=_ROOT
            )

    def _end(self) -> int:
        self._process.kill()
        status = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()
        self._process = None
        return status

    def _last_words(self) -> str:
        text = (self._session / "printed.txt").read_bytes()[-400:].decode(errors="replace")
        return " / ".join(text.strip().splitlines()[-3:])


def serve(session: Path) -> None:
    """Be the child: "kind seed" in, ["outcome", "text"] out, a line each."""
    from fuzz.attempts import attempt

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin:
        kind, seed = line.split()
        answers.write(json.dumps(attempt(kind, int(seed), session)).encode() + b"\n")
        answers.flush()


class Findings:
    """Counts by kind of input, and every fault; kept in a file."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._saved_at = file, time.monotonic()
        self.kinds: dict[str, dict] = {}
        if file is not None and file.is_file():
            self.kinds = json.loads(file.read_text(encoding="utf-8"))

    def next_seed(self, kind: str) -> int:
        """The first seed of this kind that was not tried."""
        return self._of(kind)["next"]

    def add(self, kind: str, seed: int, outcome: str, text: str) -> None:
        """Count one input."""
        found = self._of(kind)
        found["next"] = max(found["next"], seed + 1)
        found["counts"][outcome] = found["counts"].get(outcome, 0) + 1
        if outcome in FAULTS:
            found["faults"].append([seed, outcome, text])
            print(f"{outcome}: {text}\n    {reproduction(kind, seed)}", flush=True)
        if time.monotonic() - self._saved_at > 5:
            self.save()

    def save(self) -> None:
        """Write the file."""
        self._saved_at = time.monotonic()
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(".new")
            temporary.write_text(json.dumps(self.kinds, indent=1), encoding="utf-8")
            temporary.replace(self._file)

    @property
    def faults(self) -> int:
        return sum(len(found["faults"]) for found in self.kinds.values())

    def table(self) -> str:
        """Rows of kinds, columns of outcomes."""
        columns = (RIGHT, REFUSED, *FAULTS)
        lines = [f"{'':20s}{'inputs':>8s}" + "".join(f"{name:>17s}" for name in columns)]
        for kind, found in [*self.kinds.items(), ("all", self._sum())]:
            counts = found["counts"]
            numbers = "".join(f"{counts.get(name, 0):17d}" for name in columns)
            lines.append(f"{kind:20s}{sum(counts.values()):8d}{numbers}")
        return "\n".join(lines)

    def _of(self, kind: str) -> dict:
        return self.kinds.setdefault(kind, {"next": 0, "counts": {}, "faults": []})

    def _sum(self) -> dict:
        counts: dict[str, int] = {}
        for found in self.kinds.values():
            for name, number in found["counts"].items():
                counts[name] = counts.get(name, 0) + number
        return {"counts": counts}


def reproduction(kind: str, seed: int) -> str:
    """The command that tries one input alone."""
    return f"PYTHONPATH=MedNeXtSegment:Testing:Testing/engine .venv/bin/python -m fuzz --kind {kind} --seed {seed}"
