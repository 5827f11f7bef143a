"""What every training shares: state that is saved whole, stopping by a signal, going on in the same folder, a log."""

import json
import logging
import signal
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mednextseg.errors import Cancelled
from mednextseg.files import replacing, write_text

_log = logging.getLogger(__name__)
GRADIENT_NORM_LIMIT = 12.0  # as in nnU-Net's trainers
LAST_CHECKPOINT, BEST_CHECKPOINT, LOG_FILE = "last.pt", "best.pt", "log.jsonl"


class ResumableTraining:
    """A training run in one folder; a second run in the same folder goes on where the first one stopped.

    Subclasses implement `_train`, count `step` up, and call `_record` after each validation.

    Args:
        folder: gets last.pt, best.pt and log.jsonl.
        network: on its device; its weights are overwritten where the folder holds a checkpoint.
        optimizer: of the network's parameters.
        ema_decay: of the averaged weights, which are the ones to validate and to package.
        scaler: of the loss, where gradients are computed in float16.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        ema_decay: float,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.network, self.optimizer = network, optimizer
        self.scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
        self.averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self.step, self.best_score = 0, -1.0
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / LAST_CHECKPOINT).is_file():
            self._restore(self.folder / LAST_CHECKPOINT)

    def run(self) -> float:
        """Train to the end of the schedule; returns the best validation score. SIGTERM, Ctrl-C and Cancelled save before they stop."""
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            self._train()
        except (KeyboardInterrupt, Cancelled):
            _log.info("stopped at step %d; the next run in %s goes on from there", self.step, self.folder)
            self._save(LAST_CHECKPOINT)
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)
        return self.best_score

    def _train(self) -> None:
        raise NotImplementedError

    def _descend(self, loss: Tensor, gradient_norm_limit: float) -> float:
        """One step of the optimizer down the loss, and of the averaged weights after it; returns the loss."""
        return self._descend_by_parts([loss], gradient_norm_limit)

    def _descend_by_parts(self, losses: Iterable[Tensor], gradient_norm_limit: float) -> float:
        """The same down a sum, whose parts are computed one after the other so that no two are in memory at once."""
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for loss in losses:
            self.scaler.scale(loss).backward()
            total += float(loss.detach())
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), gradient_norm_limit)
        self.scaler.step(self.optimizer)  # nothing, where a gradient was too large for float16; the scale is then halved
        self.scaler.update()
        self.averaged.update_parameters(self.network)
        return total

    def _record(self, entry: dict, score: float) -> None:
        """Append a line to the log and save; the weights of the best score are kept apart."""
        log = self.folder / LOG_FILE
        written = log.read_text(encoding="utf-8") if log.is_file() else ""
        write_text(log, f"{written}{json.dumps(entry)}\n")  # whole: half a line, on a full disk, could never be drawn
        _log.info("%s", entry)
        is_best = score > self.best_score
        self.best_score = max(self.best_score, score)
        self._save(LAST_CHECKPOINT)
        if is_best:
            self._save(BEST_CHECKPOINT)

    def _save(self, name: str) -> None:
        state = {
            "step": self.step,
            "best_score": self.best_score,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        with replacing(self.folder / name) as temporary:  # a run killed while saving must stay resumable
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # what torch makes of a full disk
                raise OSError(f"{self.folder / name} could not be written; make room, and start again to resume.") from error

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.best_score = state["step"], state["best_score"]
        _log.info("resuming at step %d", self.step)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
