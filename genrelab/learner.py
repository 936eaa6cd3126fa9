"""The LightningModule: loss, metrics, optimiser. No feature code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrelab.data.module import Batch
from genrelab.evaluate.answers import Answers
from genrelab.lightning import pl
from genrelab.model import SongClassifier
from genrelab.types import Scores

FEW_STEPS = 10  # a one-cycle schedule divides by the steps of its rise less one


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
        augment: Any = None,
    ) -> None:
        super().__init__()
        self.model, self.task, self.seed = model, task, seed
        self.optimizer, self.schedule = optimizer, schedule
        self.card = dict(card)  # plain values that a checkpoint needs to be used again
        self.logged_until = logged_until  # the last epoch whose figures the tracker already has
        self.augment = augment if augment and augment.on_pictures else None
        self.history: list[dict[str, float]] = []
        self.shortened = np.zeros((0, 0, 0))  # (songs, lengths, K) of the last prediction that was asked for them
        self._shorter: list[np.ndarray] | None = None  # of its batches, while somebody asks
        self._told: list[Answers] = []  # of the batches of a prediction
        self._said: dict[str, list[dict[str, Tensor]]] = {"train": [], "val": []}  # as the model keeps them
        self._loss: dict[str, list[tuple[Tensor, int | Tensor]]] = {"train": [], "val": []}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """How many slices each song has stays with the host, which lays out the batch."""
        on_host = {k: batch[k] for k in ("n_slices", "index", "mine") if k in batch}
        rest = {k: v for k, v in batch.items() if k not in on_host}
        return super().transfer_batch_to_device(rest, device, dataloader_idx) | on_host

    def _scores(self, batch: Batch, ask: Callable[..., Scores]) -> Scores:
        if "z" in batch:  # what a frozen net made before
            return replace(self.model.judge(batch["z"], batch["n_slices"]), texture=batch["texture"])
        return ask(batch["x"], batch["n_slices"], batch.get("places"))

    def _kept(self, batch: Batch, scores: Scores) -> dict[str, Tensor]:
        return self.model.kept(scores, batch["n_slices"], **{k: batch[k] for k in ("index", "truth", "target")})

    def _step(self, batch: Batch, side: str) -> Tensor:
        return self._learned(batch, self._scores(batch, self.model), batch["target"], side)

    def _learned(self, batch: Batch, scores: Scores, target: Tensor, side: str) -> Tensor:
        n_songs: int | Tensor = len(batch["truth"])
        shares: Any = (1.0, 1.0)
        if "mine" in batch:  # a song counts as much as in one process, whoever has the others
            mine = batch["mine"]
            own = torch.tensor([n_songs, len(scores.owner)], device=self.device, dtype=torch.float32) * mine
            whole = self.trainer.strategy.reduce(own.clone(), reduce_op="sum")
            n_songs, shares = whole[0], (own / whole * self.trainer.world_size).unbind()
        loss = self.task.loss(scores, target, self.model.agg.trained, shares)
        if batch.get("mine", True):
            self._said[side].append(self._kept(batch, scores))
        self._loss[side].append((loss.detach(), n_songs))
        return loss

    def training_step(self, batch: Batch, _: int) -> Tensor:
        if not self.augment:
            return self._step(batch, "train")
        n_slices = batch["n_slices"]
        seen = self.model.seen(batch["x"], n_slices, batch.get("places"))
        seen, target = self.augment.pictures(seen, n_slices, batch["target"])
        scores = self.model.judge(self.model.net(seen), n_slices)
        return self._learned(batch, scores, target, "train")

    def validation_step(self, batch: Batch, _: int) -> None:
        self._step(batch, "val")

    def predict_step(self, batch: Batch, _: int) -> None:
        """What the model says of a batch, some of whose songs may be of none of the genres."""
        if not batch.get("mine", True):
            return
        scores = self._scores(batch, self.model.tell)
        if self._shorter is not None:
            made = self.model.shorter(scores, batch["n_slices"])
            self._shorter.append(torch.stack(made, 1).float().cpu().numpy())
        self._told.append(self.model.arrays(self._kept(batch, scores)))

    def answers(self, trainer: pl.Trainer, batches: Any, *, shorter: bool) -> Answers:
        """What the model says of the songs of all batches, each process of its own and everyone told of all.

        shorter: also of their first slices alone, in `shortened`.
        """
        self._told, self._shorter = [], [] if shorter else None
        trainer.predict(self, batches, return_predictions=False)
        told, made = gathered(self._told, self._shorter or [])
        found = Answers.joined(told)
        order = np.argsort(found.index, kind="stable")
        if shorter:
            self.shortened = np.concatenate(made)[order]
        return found.taken(order)

    def on_train_epoch_start(self) -> None:
        # dropout depends on (seed, epoch) alone, so that a resumed run goes on as an undisturbed one
        rank = (self.global_rank,) if self.global_rank else ()  # each process has songs of its own
        torch.manual_seed(hash((self.seed, self.current_epoch, *rank)) % 2**31)

    def _collect(self, side: str) -> dict[str, float]:
        """The figures of what was said of a side since the last call."""
        own = [(float(loss), float(n)) for loss, n in self._loss[side]]
        said, losses = gathered([self.model.arrays(parts) for parts in self._said[side]], own)
        self._said[side], self._loss[side] = [], []
        if not said:
            return {}
        mean, weights = zip(*losses, strict=True)
        return {f"{side}/loss": float(np.average(mean, weights=weights))} | Answers.joined(said).figures(side)

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

    def configure_optimizers(self) -> Any:
        if not any(p.requires_grad for p in self.parameters()):
            return None
        optimizer = self.optimizer(self.parameters())
        if self.schedule is None:
            return optimizer
        steps = max(FEW_STEPS, int(self.trainer.estimated_stepping_batches))
        schedule = self.schedule(optimizer, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genrelab"] = self.card | {"history": self.history}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["genrelab"]["history"])


def gathered(*own: list[Any]) -> list[list[Any]]:
    """Each of these lists with what every process has in its own, in the order of their ranks."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return list(own)
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, own)
    return [[one for part in parts for one in part] for parts in zip(*everyone, strict=True)]
