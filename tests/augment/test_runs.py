"""augment= from the command line: every choice trains, a resumed run goes on, what has no sound refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from genrelab.augment.base import Augment
from genrelab.learner import Learner
from tests.conftest import TINY, Said, Songs, Trained, runs_of
from tests.parts import names

Call = Callable[..., Said]


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


@pytest.mark.parametrize("name", [n for n in names("augment") if n != "none"])
def test_every_choice_trains_another_model_and_is_told_by_its_tag(
    call: Call, songs: Songs, trained: Trained, tmp_path: Path, name: str
) -> None:
    said = call(*songs.words, *TINY, f"augment={name}", f"store={tmp_path}")
    assert said.code == 0, said.err
    (run,), (plain,) = runs_of(tmp_path), [r for r in runs_of(trained.store) if r.info.run_id == trained.id]
    assert run.data.tags["augment"] == name
    assert name in run.info.run_name
    assert plain.data.tags["augment"] == "none"
    assert run.data.tags["config_hash"] != plain.data.tags["config_hash"]
    assert run.data.metrics["train/loss"] != pytest.approx(plain.data.metrics["train/loss"], rel=1e-3)
    mine, theirs = (pd.read_parquet(folder_of(r) / "predictions.parquet") for r in (run, plain))
    assert mine["id"].tolist() == theirs["id"].tolist()  # who is tested does not depend on it


def test_a_run_that_was_cut_off_goes_on_as_an_undisturbed_one(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*songs.words, *TINY, "augment=all", "trainer.max_epochs=3"]
    assert call(*words, f"store={tmp_path / 'whole'}").code == 0
    (whole,) = runs_of(tmp_path / "whole")

    def cut_off(self: Learner) -> None:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        torch.manual_seed(hash((self.seed, self.current_epoch)) % 2**31)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "on_train_epoch_start", cut_off)
        assert call(*words, f"store={tmp_path / 'cut'}").code == 130
    (cut,) = runs_of(tmp_path / "cut")
    said = call(f"resume={cut.info.run_id}", f"store={tmp_path / 'cut'}")
    assert said.code == 0, said.err
    assert "going on after epoch 2 of 3" in said.err
    (cut,) = runs_of(tmp_path / "cut")
    for name in ("train/loss", "val/loss"):
        assert cut.data.metrics[name] == pytest.approx(whole.data.metrics[name], abs=1e-6)
    mine, theirs = (pd.read_parquet(folder_of(r) / "slices.parquet") for r in (cut, whole))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


def test_a_frozen_net_has_nothing_to_augment(call: Call, trained: Trained) -> None:
    said = call("net=frozen", f"net.run={trained.id}", "augment=production", f"store={trained.store}")
    assert said.code == 2
    assert "augment=production: net=frozen" in said.err


def test_pictures_are_changed_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.parts import part

    asked: list[str] = []

    class Said(Augment):
        def pictures(self, *given: Any) -> Any:
            asked.append("changed")
            return super().pictures(given[0], given[1], given[2])

    augment = Said(mixup=part("augment/mixup").mixup)

    class Model:
        agg = type("Agg", (), {"trained": True})()
        net = staticmethod(lambda seen: seen)

        def seen(self, *_: Any) -> torch.Tensor:
            return torch.zeros(2, 1, 1)

        arrays = staticmethod(lambda said: said)
        judge = tell = __call__ = lambda self, *_: "scores"

    learner = Learner.__new__(Learner)
    torch.nn.Module.__init__(learner)
    learner.__dict__ |= {"model": Model(), "augment": augment, "_shorter": None, "_told": []}
    targets: list[Any] = []
    monkeypatch.setattr(Learner, "_learned", lambda self, batch, scores, target, side: targets.append(target))
    monkeypatch.setattr(Learner, "_kept", lambda *_: None)
    batch = {"x": torch.zeros(2, 1, 1), "n_slices": torch.tensor([1, 1]), "target": torch.eye(2)}
    learner.validation_step(batch, 0)
    learner.predict_step(batch, 0)
    assert not asked
    assert targets[0] is batch["target"]
    torch.manual_seed(1)
    learner.training_step(batch, 0)
    assert asked == ["changed"]
