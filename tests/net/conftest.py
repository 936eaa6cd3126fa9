"""A small encoder in a folder, as a user has one, and a machine without a network."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest
import torch

AST = {  # so small that a step takes no time
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
    "frequency_stride": 8,
    "time_stride": 8,
    "num_mel_bins": 32,
    "max_length": 128,
    "hidden_dropout_prob": 0.2,
}


@pytest.fixture(scope="session")
def ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an Audio Spectrogram Transformer with random weights."""
    from transformers import ASTConfig, ASTModel

    folder = tmp_path_factory.mktemp("encoder") / "ast"
    torch.manual_seed(0)
    model = ASTModel(ASTConfig(**AST))
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)  # the library's own first weights are nearly nothing
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """No name of a host is found; the list holds those that were asked for."""
    asked: list[object] = []

    def refused(host: object, *_: object, **__: object) -> NoReturn:
        asked.append(host)
        raise socket.gaierror("no network in a test")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    return asked
