"""`mednextseg serve`: lend this computer's processor or graphics card to the panels of several Slicers, over TLS.

It shows the fingerprint of its certificate, which each panel compares, and where its token lies, which each panel must show.
"""

import argparse
import asyncio
import logging
import os
from pathlib import Path


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser("serve", parents=[common], help="compute for Slicers on other computers", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="0.0.0.0:8765 for every network of this computer")
    parser.add_argument("--token-file", type=Path, help="file with the token (else one is made in the home folder)")
    parser.add_argument("--sessions", type=int, default=8, help="most connections at a time, each with a worker (default 8)")
    parser.add_argument("--gigabytes", type=float, default=8.0, help="most that is kept of each client's volumes (default 8)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from mednextseg.files import make_folder  # noqa: PLC0415
    from mednextseg.machine import home_folder  # noqa: PLC0415
    from mednextseg.worker.remote.certificate import server_context  # noqa: PLC0415
    from mednextseg.worker.remote.pinning import checked_address, kept_secret  # noqa: PLC0415
    from mednextseg.worker.remote.server import Limits, WorkerServer  # noqa: PLC0415
    from mednextseg.worker.serving import array_folders  # noqa: PLC0415

    host, port = checked_address(options.listen)
    if options.sessions < 1 or not options.gigabytes > 0:
        raise ValueError("a server needs room for one session and some gigabytes; give larger numbers.")
    folder = make_folder(home_folder() / "server").resolve()
    if array_folders.lock(folder) is None and os.name == "posix":
        raise ValueError(f"another server uses {folder}; stop it, or set MEDNEXTSEG_HOME to another folder.")
    token_file = options.token_file or folder / "token"
    if options.token_file is not None and not token_file.is_file():
        raise FileNotFoundError(f"there is no token file {token_file}; write a token of 16 characters or more into it.")
    token = kept_secret(token_file)
    context, fingerprint = server_context(folder)
    server = WorkerServer(folder, token, Limits(options.sessions, int(options.gigabytes * 1e9)))
    logging.getLogger("mednextseg.worker.remote").setLevel(logging.INFO)  # who came and went belongs to a server's log

    def tell(actual_port: int) -> None:
        print(f"listening on {host}:{actual_port}\ncertificate (SHA-256): {fingerprint}\ntoken: see {token_file}", flush=True)

    asyncio.run(server.serve(host, port, context, tell))
    return 0
