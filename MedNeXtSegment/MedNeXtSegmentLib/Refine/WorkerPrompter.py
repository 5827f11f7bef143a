"""A Prompter (mednextseg.refine.prompter) whose network runs in the worker process."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from mednextseg.refine.prompter import Embedding, PromptCancelledError, PrompterInfo, Result, scaled_to_display
from mednextseg.refine.prompts import Prompts
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

_numbers = count()


@dataclass(frozen=True, eq=False)
class _SentSlice:
    """What it takes to send a slice again to a worker that does not have it."""

    key: str
    image_rc: np.ndarray
    spacing_rc_mm: tuple[float, float]
    display_range: tuple[float, float] | None


class WorkerCompletion:
    """What completes whole objects, in the worker (mednextseg.refine.prompter.Completion).

    Args:
        size: voxels along each edge of the cube that it sees.
        ask: sends the channels and returns the log odds.
    """

    def __init__(self, size: int, ask: Callable[[np.ndarray], np.ndarray]) -> None:
        self.size, self._ask = size, ask

    def log_odds(self, channels: np.ndarray) -> np.ndarray:
        """See Completion.log_odds."""
        return self._ask(channels)


class WorkerPrompter:
    """Calls wait for the worker while the event loop goes on.

    Args:
        client: to the worker.
        name: as in mednextseg.refine.load_prompter.
        device: "auto", "cpu", "cuda:N" or "mps".
        family: of a checkpoint, as in mednextseg.refine.load_prompter.
    Raises:
        RunFailure: where the worker or the network cannot be started.
    """

    def __init__(self, client: WorkerClient, name: str, device: str = "auto", family: str | None = None) -> None:
        self._client, self._name, self._device, self._family = client, name, device, family
        self._key = f"prompter{next(_numbers)}"
        # Any slice will do: the answer tells what the network is, and the network is loaded before the first click.
        self._anySlice = _SentSlice(f"{self._key}-info", np.eye(8, dtype=np.float32), (1.0, 1.0), None)
        value = self._send(self._anySlice)
        size = value.get("completion_size", 0)  # workers of earlier versions do not say
        self.completion = WorkerCompletion(size, self._complete) if size else None
        info = value["prompter"]
        self.info = PrompterInfo(**{**info, "prompt_kinds": tuple(info["prompt_kinds"])})

    def encode(
        self,
        image_rc: np.ndarray,
        spacing_rc_mm: tuple[float, float] = (1.0, 1.0),
        display_range: tuple[float, float] | None = None,
    ) -> Embedding:
        """Send the slice; see Prompter.encode."""
        sent = _SentSlice(f"{self._key}-{next(_numbers)}", np.asarray(image_rc), tuple(spacing_rc_mm), display_range)
        self._send(sent)
        return Embedding(scaled_to_display(image_rc, display_range), sent.spacing_rc_mm, sent)

    def predict(
        self,
        embedding: Embedding,
        prompts: Prompts,
        state: str | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Result:
        """Ask for a mask; see Prompter.predict. `state` is the worker's name of the earlier answer."""
        try:
            return self._predict(embedding, prompts, state, cancel)
        except RunFailure as failure:
            if failure.code != protocol.UNKNOWN_EMBEDDING:
                raise
        # A new worker, or one that made room: the slice is sent again, and the mask among the prompts stands for what was.
        self._send(embedding.features)
        return self._predict(embedding, prompts, None, cancel)

    def _predict(self, embedding: Embedding, prompts: Prompts, state: str | None, cancel) -> Result:
        keepAs = f"{self._key}-{next(_numbers)}"
        parameters = {
            "session": self._key,
            "embedding": embedding.features.key,
            "points_rc": prompts.points_rc.tolist(),
            "labels": prompts.labels.tolist(),
            "box": None if prompts.box is None else prompts.box.tolist(),
            "mask": prompts.mask,
            "strokes": [
                {"points_rc": stroke.points_rc.tolist(), "positive": stroke.is_positive, "lasso": stroke.is_lasso}
                for stroke in prompts.strokes
            ],
            "after": state,
            "keep_as": keepAs,
        }
        value = self._ask("predict_mask", parameters, cancel)
        score = float("nan") if value["score"] is None else value["score"]
        return Result(value["probability"], score, keepAs)

    def _complete(self, channels: np.ndarray) -> np.ndarray:
        parameters = {"session": self._key, "embedding": self._anySlice.key, "cube": channels}
        try:
            return self._ask("complete_object", parameters, None)["log_odds"]
        except RunFailure as failure:
            if failure.code != protocol.UNKNOWN_EMBEDDING:
                raise
        self._send(self._anySlice)
        return self._ask("complete_object", parameters, None)["log_odds"]

    def _send(self, sent: _SentSlice) -> dict:
        parameters = {
            "session": sent.key,
            "embedding": sent.key,
            "prompter": self._name,
            "image": sent.image_rc,
            "spacing_rc_mm": list(sent.spacing_rc_mm),
            "display_range": None if sent.display_range is None else list(sent.display_range),
            "device": self._device,
            "family": self._family,
        }
        return self._ask("encode_slice", parameters, None)

    def _ask(self, operation: str, parameters: dict, cancel: Callable[[], bool] | None) -> dict:
        answers: list[dict | RunFailure] = []
        request = self._client.request(operation, parameters, onResult=answers.append, onError=answers.append)

        def isOver() -> bool:
            if cancel is not None and cancel():
                self._client.cancel(request)
            return bool(answers)

        self._client.wait(isOver)
        answer = answers[0]
        if not isinstance(answer, RunFailure):
            return answer
        if answer.code in (protocol.CANCELLED, protocol.SUPERSEDED):
            raise PromptCancelledError(answer.message)
        raise answer
