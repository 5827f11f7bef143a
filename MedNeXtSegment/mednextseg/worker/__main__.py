"""`python -m mednextseg.worker`: the process that computes for the panel (see protocol.py)."""

import argparse
import os


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m mednextseg.worker", description=__doc__)
    parser.add_argument("--folder", help="existing private folder for arrays; removed at the end (default: a new one)")
    folder = parser.parse_args().folder
    # The linear algebra of prompts is small: OpenBLAS's threads wait for each other in busy loops, which on a busy machine costs many
    # times the work itself. Must be set before numpy is imported; the networks' own threads are torch's and not touched by it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Torch's threads wait for each other in busy loops, too, and a click's network is over before they would sleep. Beside a program that
    # draws views on the same cores this costs ten times the work itself, so they wait for some microseconds only.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from mednextseg.worker.serving.server import serve  # noqa: PLC0415

    serve(folder)


main()
