"""The command line: `mednextseg segment | refine | models | evaluate | train` (also `python -m mednextseg`)."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from mednextseg import __version__
from mednextseg.errors import Cancelled

_EXIT_FAILED, _EXIT_CANCELLED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, 0 only where the output was written whole."""
    options = _parser().parse_args(arguments)
    # Anew each time: standard error may be another one than before.
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="mednextseg: %(message)s", force=True
    )
    try:
        return options.run(options)
    except (KeyboardInterrupt, Cancelled):
        print("mednextseg: stopped; nothing was left half-written.", file=sys.stderr)
        return _EXIT_CANCELLED
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        # One sentence for people; --verbose has the rest for a bug report.
        logging.getLogger(__name__).info("details", exc_info=True)
        print(f"mednextseg: {error}", file=sys.stderr)
        if options.json:
            print(json.dumps({"error": str(error)}))
        return _EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    # Imported here, and the heavy modules only inside the commands: --help answers at once.
    from mednextseg.commands import adapt, evaluate, models, refine, segment  # noqa: PLC0415

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    common.add_argument("--verbose", action="store_true", help="log what happens, and the details of errors")
    parser = argparse.ArgumentParser(prog="mednextseg", description="Segment CT and MR volumes with MedNeXt.")
    parser.add_argument("--version", action="version", version=f"mednextseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (segment, refine, models, evaluate, adapt):
        command.add_to(commands, common)
    return parser


if __name__ == "__main__":
    sys.exit(main())
