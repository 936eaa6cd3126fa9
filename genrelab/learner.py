"""The LightningModule: loss, metrics, optimiser. No feature code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from genrelab.data.module import Batch
from genrelab.evaluate import metrics
from genrelab.model import SongClassifier


@dataclass(frozen=True)
class Answers:
    """What a model said of the songs of one side."""

    index: np.ndarray  # (n,) the songs, by their place in the manifest
    truth: np.ndarray  # (n,)
    n_slices: np.ndarray  # (n,)
    song: np.ndarray  # (n, K) probabilities
    slice: np.ndarray  # (all slices, K) probabilities, song after song

    @property
    def slice_truth(self) -> np.ndarray:
        return np.repeat(self.truth, self.n_slices)

    def figures(self, side: str) -> dict[str, float]:
        """Metric names of the contract -> figures, per song and per slice."""
        song = metrics.scores(self.truth, self.song)
        slices = metrics.scores(self.slice_truth, self.slice)
        return {f"{side}/song/{k}": v for k, v in song.items()} | {f"{side}/slice/{k}": v for k, v in slices.items()}


class Learner(pl.LightningModule):
    """Trains a SongClassifier for a task; keeps a row of figures for every epoch in `history`."""

    def __init__(
        self,
        model: SongClassifier,
        task: Any,
        optimizer: Callable[..., torch.optim.Optimizer],
        schedule: Callable[..., Any] | None,
        seed: int,
        card: Mapping[str, Any],
        logged_until: int = -1,
    ) -> None:
        super().__init__()
        self.model, self.task, self.seed = model, task, seed
        self.optimizer, self.schedule = optimizer, schedule
        self.card = dict(card)  # plain values that a checkpoint needs to be used again
        self.logged_until = logged_until  # the last epoch whose figures the tracker already has
        self.history: list[dict[str, float]] = []
        self.answers: dict[str, Answers] = {}
        self._said: dict[str, list[tuple[np.ndarray, ...]]] = {"train": [], "val": [], "test": []}
        self._loss: dict[str, list[tuple[float, int]]] = {"train": [], "val": [], "test": []}

    def _step(self, batch: Batch, side: str) -> Tensor:
        scores = self.model(batch["x"], batch["n_slices"], batch.get("places"))
        loss = self.task.loss(scores, batch["truth"], self.model.agg.trained)
        said = (
            batch["index"],
            batch["truth"],
            batch["n_slices"],
            self.task.probabilities(scores.song.detach()),
            self.task.probabilities(scores.slice.detach()),
        )
        self._said[side].append(tuple(t.cpu().numpy() for t in said))
        self._loss[side].append((float(loss.detach()), len(batch["truth"])))
        return loss

    def training_step(self, batch: Batch, _: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, _: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Batch, _: int) -> None:
        self._step(batch, "test")

    def on_train_epoch_start(self) -> None:
        # dropout depends on (seed, epoch) alone, so that a resumed run goes on as an undisturbed one
        torch.manual_seed(hash((self.seed, self.current_epoch)) % 2**31)

    def _collect(self, side: str) -> dict[str, float]:
        """The figures of what was said of a side since the last call; keeps the answers."""
        said, loss = self._said[side], np.array(self._loss[side]).reshape(-1, 2)
        self._said[side], self._loss[side] = [], []
        if not said:
            return {}
        self.answers[side] = Answers(*(np.concatenate(part) for part in zip(*said, strict=True)))
        return {f"{side}/loss": float(np.average(loss[:, 0], weights=loss[:, 1]))} | self.answers[side].figures(side)

    def on_validation_epoch_end(self) -> None:
        figures = self._collect("val")
        self.log_dict(figures, logger=False)  # for early stopping and checkpoints
        if self.trainer.state.fn != "fit":
            return
        # here and not at the end of the training epoch: figures are written before the checkpoint that contains them
        row = self._collect("train") | figures
        self.history.append({"epoch": self.current_epoch} | row)
        if self.logger and self.current_epoch > self.logged_until:
            self.logger.log_metrics(row, step=self.current_epoch)

    def on_test_epoch_end(self) -> None:
        self.log_dict(self._collect("test"), logger=False)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        if self.schedule is None:
            return optimizer
        schedule = self.schedule(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genrelab"] = self.card | {"history": self.history}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["genrelab"]["history"])
