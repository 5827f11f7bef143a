"""Prompts on slices: a slice is encoded once and then asked for a mask as often as the prompts change."""

import math
from dataclasses import asdict

from mednextseg.machine import resolve_device
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.strokes import Stroke
from mednextseg.worker.operations import Context, Operation, WorkerState, required
from mednextseg.worker.protocol import UNKNOWN_EMBEDDING, ProtocolError


def encode_slice(parameters: dict, context: Context) -> dict:
    """Prepare a slice for prompts.

    Args:
        parameters: "session" (a newer encode of the same session takes the place of a waiting one), "embedding" id that the client
            chooses, "prompter" name or path, "image" array (rows, columns), "spacing_rc_mm"; optional "display_range" [black, white],
            "device", "family" of a checkpoint.
        context: of the request.
    Returns:
        "prompter": its PrompterInfo; "completion_size": edge of the cube that `complete_object` takes, 0 where the prompter has no
        network for whole objects. From now on "embedding" can be named.
    """
    names = ["session", "embedding", "prompter", "image", "spacing_rc_mm"]
    values = required(parameters, names, ["display_range", "device", "family"])
    _, embedding_id, prompter_name, image, spacing_rc_mm, display_range, device, family = values
    image_rc = context.arrays.take(image)
    prompter = _opened_prompter(prompter_name, device or "auto", family, context.state)
    embedding = prompter.encode(image_rc, _pair(spacing_rc_mm), None if display_range is None else _pair(display_range))
    context.state.embeddings.put(embedding_id, (prompter, embedding))
    size = 0 if prompter.completion is None else prompter.completion.size
    return {"prompter": asdict(prompter.info), "completion_size": size}


def predict_mask(parameters: dict, context: Context) -> dict:
    """Ask for the mask of a slice.

    Args:
        parameters: "session" (a newer predict of the same session takes the place of a waiting one), "embedding" id; optional
            "points_rc" [[row, column], ...] with "labels" [1 inside, 0 outside], "box" [r0, c0, r1, c1], "mask" array (rows,
            columns) of an earlier probability, "strokes" [{"points_rc", "positive", "lasso"}, ...]; "after" id of the earlier
            answer on this slice that this one corrects, "keep_as" id under which this answer can be corrected later.
        context: of the request.
    Returns:
        "probability" array (rows, columns), float32 in [0, 1]; "score" the network's own estimate of its quality, or None.
    """
    optional = ["points_rc", "labels", "box", "mask", "after", "keep_as", "strokes"]
    values = required(parameters, ["session", "embedding"], optional)
    _, embedding_id, points_rc, labels, box, mask, after, keep_as, strokes = values
    mask_rc = None if mask is None else context.arrays.take(mask)
    prompter, embedding = _kept(context.state.embeddings.get(embedding_id), f"encoded slice {embedding_id!r}")
    (state,) = (None,) if after is None else _kept(context.state.answers.get(after), f"earlier answer {after!r}")
    prompts = Prompts(points_rc, labels, box, mask_rc, tuple(_stroke(values) for values in strokes or ()))
    result = prompter.predict(embedding, prompts, state, context.cancelled)
    if keep_as is not None:
        context.state.answers.put(keep_as, (result.state,))
    score = float(result.score)
    return {"probability": result.probability, "score": None if math.isnan(score) else score}


def complete_object(parameters: dict, context: Context) -> dict:
    """Ask for an object in a cube.

    Args:
        parameters: "session" (as of predict_mask), "embedding" id of a slice that was encoded for the prompter, "cube" array
            (channels, size, size, size), float32, as refine/completion/network_input.py makes them.
        context: of the request.
    Returns:
        "log_odds" array (size, size, size), float32.
    """
    _, embedding_id, channels = required(parameters, ["session", "embedding", "cube"])
    channels = context.arrays.take(channels)
    prompter, _embedding = _kept(context.state.embeddings.get(embedding_id), f"encoded slice {embedding_id!r}")
    if prompter.completion is None:
        raise ValueError(f"{prompter.info.name} has no network for whole objects; use clicknet.")
    return {"log_odds": prompter.completion.log_odds(channels)}


def forget_slice(parameters: dict, context: Context) -> dict:
    """{"embedding": id} -> {}; an unknown id is no error."""
    (embedding_id,) = required(parameters, ["embedding"])
    context.state.embeddings.discard(embedding_id)
    return {}


def _opened_prompter(name: str, device: str, family: str | None, state: WorkerState) -> Prompter:
    device = resolve_device(device)
    return state.prompters.get_or_make((name, device, family), lambda: load_prompter(name, device, family))


def _kept(value: tuple | None, what: str) -> tuple:
    if value is None:
        raise ProtocolError(UNKNOWN_EMBEDDING, f"the worker does not have the {what}.")
    return value


def _stroke(values: dict) -> Stroke:
    points_rc, is_positive, is_lasso = required(values, ["points_rc", "positive", "lasso"])
    return Stroke(points_rc, is_positive, is_lasso)


def _pair(values: list) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


OPERATIONS: dict[str, Operation] = {
    "encode_slice": encode_slice,
    "predict_mask": predict_mask,
    "complete_object": complete_object,
    "forget_slice": forget_slice,
}
# Of an operation, the parameter whose newest value wins.
LATEST_WINS = {"encode_slice": "session", "predict_mask": "session", "complete_object": "session"}
# A user waits for these: they are answered between the windows of a long run.
SHORT = tuple(OPERATIONS)
