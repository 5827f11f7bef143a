"""`make fuzz`: broken and random inputs, minutes by default, hours by option; goes on where the last run stopped.

A fault is printed with the command that repeats it alone; the table at the end counts everything tried since --fresh.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from fuzz.attempts import KINDS, run
from fuzz.campaign import STATE_FILE, Child, Findings, serve
from fuzz.fixed_slice import SLICE

# Inputs of each kind in 10,000: files of patients come in most forms; 400 x 25 requests go to a worker, and 50 x 20 around its end.
_SHARES = {
    "volumes": 3900,
    "dicom": 1700,
    "cards_and_recipes": 1000,
    "checkpoints": 1000,
    "journals_and_tables": 800,
    "geometries": 800,
    "protocol": 400,
    "full_disk": 350,
    "worker_kills": 50,
}


def main() -> int:
    """Try inputs; exit status 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind (may be given again)")
    parser.add_argument("--seed", type=int, help="only this input, in this process, errors shown whole")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--hours", type=float, help="instead of minutes")
    parser.add_argument("--inputs", type=int, help="stop after so many inputs")
    parser.add_argument("--fresh", action="store_true", help="forget what was tried before")
    parser.add_argument("--slice", action="store_true", help="the fixed inputs that the tests try, and nothing kept")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        serve(options.child)
        return 0
    kinds = options.kind or KINDS
    if options.seed is not None:
        return _try_one(kinds, options.seed)
    if options.fresh:
        STATE_FILE.unlink(missing_ok=True)
    findings = Findings(None if options.slice else STATE_FILE)
    before, child = findings.faults, Child()
    try:
        if options.slice:
            for kind in kinds:
                for seed in SLICE.get(kind, ()):
                    _try(child, findings, kind, seed)
        else:
            seconds = 60 * options.minutes if options.hours is None else 3600 * options.hours
            _go_on(child, findings, kinds, seconds, options.inputs)
    except KeyboardInterrupt:
        print("stopped; the next run goes on from here.")
    finally:
        findings.save()
        child.close()
    print(findings.table())
    return 1 if findings.faults > before else 0


def _try_one(kinds: list[str], seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="mednextseg-fuzz-") as folder:
        for kind in kinds:
            print(kind, *run(kind, seed, Path(folder)))
    return 0


def _go_on(child: Child, findings: Findings, kinds: list[str], seconds: float, inputs: int | None) -> None:
    """Give every kind its share of the inputs, at any moment."""
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end and (inputs is None or tried < inputs):
        kind = min(kinds, key=lambda kind: findings.next_seed(kind) / _SHARES[kind])
        _try(child, findings, kind, findings.next_seed(kind))
        tried += 1


def _try(child: Child, findings: Findings, kind: str, seed: int) -> None:
    findings.add(kind, seed, *child.attempt(kind, seed))


if __name__ == "__main__":
    sys.exit(main())
