"""A real worker whose runs are short or long as a request says, under names that a server lets through. It has no torch, so it starts fast.

Run as the worker is: python worker_to_serve.py --folder FOLDER
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from mednextseg.errors import Cancelled
from mednextseg.worker.serving.server import serve


def segment(parameters, context):
    """A long run in steps: progress, cancel and prompts as the sliding window has them; answers with the volumes' sum."""
    for step in range(parameters["steps"]):
        if context.cancelled():
            raise Cancelled("stopped")
        context.progress("network", step / parameters["steps"], None)
        time.sleep(parameters.get("seconds_a_step", 0.01))
    volumes = [context.state.volumes.get(key)[0] for key in parameters.get("volumes", [])]
    return {"sum": float(sum(volume.sum(dtype=np.float64) for volume in volumes)), "time": time.monotonic()}


def evaluate(parameters, context):
    return {"errors": context.arrays.take(parameters["reference"]) * 2}


def confusion(parameters, context):
    """What a session could see of others, if anything."""
    folder = context.arrays.folder
    return {"files": sorted(p.name for p in folder.iterdir()), "beside": sorted(p.name for p in folder.parent.iterdir())}


def adapt(parameters, context):
    """Leaves what a training leaves in its folder, and goes on where one stopped."""
    folder = Path(parameters["target"])
    before = (folder / "result" / "last.pt").exists()
    (folder / "result").mkdir(parents=True, exist_ok=True)
    (folder / "result" / "last.pt").write_text("a checkpoint")
    (folder / "plan.json").write_text('{"steps": 3}')
    (folder / "result" / "log.jsonl").write_text('{"step": 1}\n')
    segment({"steps": parameters.get("steps", 1)}, context)
    (folder / "package").mkdir(exist_ok=True)
    (folder / "package" / "weights.safetensors").write_bytes(bytes(range(256)) * 8000)
    (folder / "package" / "LICENSE").touch()
    return {"package": str(folder / "package"), "accepted": True, "before": before}


def encode_slice(parameters, context):
    context.state.embeddings.put(parameters["embedding"], (context.arrays.take(parameters["image"]),))
    return {}


def predict_mask(parameters, context):
    return {"probability": context.state.embeddings.get(parameters["embedding"])[0]}


def review_slices(parameters, context):
    os._exit(3)


if __name__ == "__main__":
    # Importing these now fails, as where they are not installed.
    sys.modules["torch"] = sys.modules["mednextseg.worker.operations.refine"] = None
    serve(
        folder=sys.argv[sys.argv.index("--folder") + 1],
        operations={
            "segment": segment,
            "adapt": adapt,
            "evaluate": evaluate,
            "confusion": confusion,
            "review_slices": review_slices,
            "encode_slice": encode_slice,
            "predict_mask": predict_mask,
        },
        short={"encode_slice", "predict_mask"},
    )
