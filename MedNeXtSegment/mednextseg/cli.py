"""The command line: `mednextseg segment | refine | models | evaluate | adapt | cases | train | serve` (also `python -m mednextseg`).

Only what hears Ctrl-C is imported at once, everything else inside `main`, where a stop ends with one line.
"""

import sys
from collections.abc import Sequence

from mednextseg.stop_signals import StopSignals

_EXIT_FAILED, _EXIT_STOPPED, _EXIT_OF_SIGNAL = 1, 130, 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, 0 only where the output was written whole."""
    with StopSignals() as stop:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        except BaseException as error:
            if not (stop.asked or isinstance(error, KeyboardInterrupt)):
                raise
        print("mednextseg: stopped; nothing was left half-written.", file=sys.stderr)
        return _EXIT_OF_SIGNAL + stop.asked if stop.asked else _EXIT_STOPPED


def _run(arguments: Sequence[str]) -> int:
    import logging  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    from mednextseg.commands.parser import parsed  # noqa: PLC0415
    from mednextseg.errors import Cancelled, sentence_of  # noqa: PLC0415

    options = parsed(arguments)
    # Anew each time: standard error may be another one than before.
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="mednextseg: %(message)s", force=True)
    if not options.verbose:
        warnings.simplefilter("ignore", FutureWarning)  # of other libraries, to their programmers
    try:
        return options.run(options)
    except Cancelled as error:
        raise KeyboardInterrupt from error
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        return _failed(sentence_of(error), options.json)
    except ModuleNotFoundError as error:
        return _failed(f"the package {error.name} is not installed; pip install {error.name}.", options.json)
    except (LookupError, TypeError, ArithmeticError, AttributeError, EOFError) as error:
        # A file of a form that nobody thought of, or a fault of the program.
        kind = f"{type(error).__name__}: {error}"
        return _failed(
            f"an input has a form that was not expected ({kind}); --verbose shows where, for a report.", options.json
        )


def _failed(sentence: str, is_json: bool) -> int:
    """One sentence for people; --verbose has the rest for a bug report."""
    import json  # noqa: PLC0415
    import logging  # noqa: PLC0415

    logging.getLogger(__name__).info("details", exc_info=True)
    sentence = " ".join(sentence.split())
    print(f"mednextseg: {sentence}", file=sys.stderr)
    if is_json:
        print(json.dumps({"error": sentence}))
    return _EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
