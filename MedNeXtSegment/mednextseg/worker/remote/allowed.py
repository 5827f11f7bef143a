"""What a client of the server may ask for. Names of models are allowed, paths are not: the disk is the server's."""

import re

from mednextseg.json_values import listed, shown
from mednextseg.worker.protocol import INVALID_INPUT, UNKNOWN_OPERATION, ProtocolError, Request
from mednextseg.worker.remote.training_files import PLACE

# One at a time on the server; the others, prompts above all, go to the session's own worker at once.
LONG = frozenset({"segment", "review_slices", "evaluate", "confusion"})
# One at a time as well, but beside the others: it takes hours, at low priority.
TRAINING = "adapt"
# As the worker itself lets them through between the windows of a run.
SHORT = frozenset({"encode_slice", "predict_mask", "complete_object", "forget_slice", "ping"})
ALLOWED = LONG | SHORT | {TRAINING, "environment", "list_models", "verify_model", "open_volume", "close_volume", "plan_segment"}
# Asked by the panel, and done where the user sits: by the model in a folder there, for the memory there.
_FOR_ONESELF = {"shape_priors": "shape priors are read", "suggest_networks": "networks are suggested"}
_NAMES = {
    "model": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(@[A-Za-z0-9][A-Za-z0-9._+-]*)?"),
    "prompter": re.compile(r"[a-z_]+"),  # no dots: the files that a client has sent are no checkpoints
    "target": PLACE,
}


def check(request: Request) -> None:
    """Make sure that a request is one of these.

    Raises:
        ProtocolError: UNKNOWN_OPERATION or INVALID_INPUT, with what is allowed.
    """
    if request.operation in _FOR_ONESELF:
        text = f"{_FOR_ONESELF[request.operation]} on one's own computer, and a server computes; choose this computer in Set-up first."
        raise ProtocolError(UNKNOWN_OPERATION, text, "", request.id)
    if request.operation not in ALLOWED:
        text = f"the server does not do {shown(request.operation)} for its clients; it does: {listed(sorted(ALLOWED))}."
        hint = "Models are added and removed on the server itself, by `mednextseg models`."
        raise ProtocolError(UNKNOWN_OPERATION, text, hint, request.id)
    if any(request.parameters.get(name) is not None for name in ("dataset", "collected", "unlabeled", "pairs")):
        text = "what was collected, or a folder of cases, lies on your disk and not on the server's; load and add the cases one by one."
        raise ProtocolError(INVALID_INPUT, text, request_id=request.id)
    if request.operation == TRAINING and request.parameters.get("target") is None:
        raise ProtocolError(INVALID_INPUT, "a training needs a target, the hash of its folder.", request_id=request.id)
    for name, pattern in _NAMES.items():
        value = request.parameters.get(name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            text = f"the server takes a {name} by its name alone, such as those it lists, got {shown(value)}."
            raise ProtocolError(INVALID_INPUT, text, request_id=request.id)
