"""A real worker with a few more operations that misbehave on purpose. It has no torch, so it starts fast and shows what then works.

Run as the worker is: python worker_with_test_operations.py [--folder FOLDER]
"""

import logging
import os
import signal
import subprocess
import sys
import time

from mednextseg.errors import Cancelled
from mednextseg.worker.serving.server import serve


def shout(parameters, context):
    print("printed by Python")
    os.write(1, b"written to descriptor 1\n")
    subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
    logging.getLogger("mednextseg.test").info("logged")
    return {"read": sys.stdin.read()}


def raise_error(parameters, context):
    errors = {"memory": MemoryError("Unable to allocate 9 GiB"), "value": ValueError("the value is wrong.")}
    raise errors.get(parameters["kind"], ZeroDivisionError("divided by zero"))


def count(parameters, context):
    """A long run in steps that asks, as the sliding window does, whether it is cancelled."""
    steps = parameters["steps"]
    for step in range(steps):
        if context.cancelled():
            raise Cancelled("stopped")
        context.progress("network", step / steps, None)
        time.sleep(parameters["seconds_a_step"])
    return {"steps": steps, "session": parameters.get("session")}


def double(parameters, context):
    return {"doubled": context.arrays.take(parameters["array"]) * 2}


def spawn(parameters, context):
    """A child that would outlive the worker."""
    return {"pid": subprocess.Popen(["sleep", "600"]).pid}


def die(parameters, context):
    os.kill(os.getpid(), signal.SIGSEGV)


def send_nan(parameters, context):
    return {"value": float("nan")}


def ignore_everything(parameters, context):
    """A device that hangs: no progress, no answer to cancel, while the reader lives."""
    time.sleep(600)


if __name__ == "__main__":
    sys.modules["torch"] = None  # importing it now fails, as where it is not installed
    serve(
        folder=sys.argv[sys.argv.index("--folder") + 1] if "--folder" in sys.argv else None,
        operations={
            "shout": shout,
            "raise_error": raise_error,
            "count": count,
            "double": double,
            "spawn": spawn,
            "die": die,
            "send_nan": send_nan,
            "ignore_everything": ignore_everything,
        },
        latest_wins={"count": "session"},
        short={"double"},
    )
