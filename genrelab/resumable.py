"""What training needs so that a run which was killed at any moment goes on as if nothing had happened."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genrelab.lightning import TorchCheckpointIO, callbacks, pl


class WholeCheckpoints(TorchCheckpointIO):
    """A checkpoint is whole or not there: it is written beside its place and then renamed.

    Lightning writes to the system's temporary folder and moves the file from there: where that is another disk, a copy
    lies half-written in the place of the checkpoint before, and a killed process leaves the temporary file behind.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        del storage_options
        at = Path(path)
        at.parent.mkdir(parents=True, exist_ok=True)
        partial, made = at.with_name(at.name + ".tmp"), io.BytesIO()
        torch.save(checkpoint, made)  # in memory, since into a file it does not say what went wrong there
        try:
            partial.write_bytes(made.getbuffer())
        except BaseException:  # a full disk, an interrupt: what is there of it is of no use
            partial.unlink(missing_ok=True)
            raise
        partial.replace(at)


class EarlyStopping(callbacks.EarlyStopping):
    """Early stopping that stays so: a run that was killed after it had stopped does not train another epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        del pl_module
        if self.stopped_epoch or self.wait_count >= self.patience:
            trainer.should_stop = True


class Sigterm(callbacks.Callback):
    """SIGTERM stays what it was before the training, where it comes with another signal: a cluster sends it to a job
    that it takes away, and submitit has the job queued again by a second one; Lightning would stop at the first."""

    def __init__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        del trainer, pl_module
        signal.signal(signal.SIGTERM, self.before)
