"""net=encoder: what a local folder holds, on slices; nothing is fetched, and no code of the folder is run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from genrelab.net.encoder import Encoder
from tests.net.conftest import AST
from tests.parts import part

BINS, FRAMES = AST["num_mel_bins"], AST["max_length"]


def made(path: object, n_bins: int = int(BINS), n_frames: int = int(FRAMES), **words: Any) -> Encoder:
    return part("net/encoder", path=None if path is None else str(path), **words)(n_bins=n_bins, n_frames=n_frames)


def refusal(path: object, **words: Any) -> str:
    with pytest.raises(ValueError, match="net") as raised:
        made(path, **words)
    (line,) = str(raised.value).splitlines()
    return line


@torch.no_grad()
def test_the_embedding_is_the_librarys_own(ast: Path, offline: list[object], capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import ASTModel

    net, x = made(ast, scale=1), torch.randn(3, BINS, FRAMES)
    assert capfd.readouterr() == ("", "")
    known = ASTModel.from_pretrained(ast).eval()(x.transpose(1, 2)).pooler_output
    assert net.dim == known.shape[1] == AST["hidden_size"]
    assert torch.allclose(net(x), known, atol=1e-5)
    halved = made(ast, scale=0.5)
    assert torch.allclose(halved(2 * x), known, atol=1e-5)
    assert not offline


@torch.no_grad()
def test_frames_are_not_stretched_and_zeros_follow(ast: Path) -> None:
    x = torch.randn(2, BINS, 50)
    placed = made(ast, n_frames=50, scale=0.5).placed(x)
    assert placed.shape == (2, BINS, FRAMES)
    assert torch.equal(placed[..., :50], 0.5 * x)
    assert not placed[..., 50:].any()


@torch.no_grad()
@pytest.mark.parametrize("n_bins", [12, 80, 128])
def test_other_bins_are_interpolated_within_their_frame(ast: Path, n_bins: int) -> None:
    """A ramp over the bins stays one, from end to end; what a frame holds stays in it."""
    net = made(ast, n_bins=n_bins, scale=1)
    x = torch.zeros(1, n_bins, FRAMES)
    x[0, :, 7] = torch.arange(n_bins) + 0.5
    placed = net.placed(x)[0]
    expected = ((torch.arange(int(BINS)) + 0.5) * n_bins / int(BINS)).clamp(0.5, n_bins - 0.5)
    assert torch.allclose(placed[:, 7], expected, atol=1e-3)
    assert not placed[:, :7].any()
    assert not placed[:, 8:].any()


def test_a_frozen_encoder_learns_nothing_and_has_no_dropout(ast: Path) -> None:
    net, x = made(ast, frozen=True).train(), torch.randn(2, BINS, FRAMES, requires_grad=True)
    assert not any(p.requires_grad for p in net.parameters())
    z = net(x)
    assert torch.equal(z, net.eval()(x))
    z.square().sum().backward()  # a learned front-end before it learns all the same
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_an_encoder_that_is_not_frozen_is_trained_on(ast: Path) -> None:
    torch.manual_seed(0)
    net, x = made(ast, frozen=False), torch.randn(2, BINS, FRAMES)
    assert net.training
    z = net(x)
    assert not torch.equal(z, net(x))  # its dropout
    z.square().sum().backward()
    lacking = [k for k, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all(p.requires_grad for p in net.parameters())
    assert not [k for k in lacking if "k_proj.bias" not in k]  # a softmax does not feel it


@torch.no_grad()
def test_a_slice_does_not_depend_on_its_batch(ast: Path) -> None:
    net, x = made(ast, n_frames=40), torch.randn(4, BINS, 40)
    assert torch.allclose(net(x), torch.cat([net(one[None]) for one in x]), atol=1e-5)


def test_longer_slices_are_refused(ast: Path) -> None:
    line = refusal(ast, n_frames=int(FRAMES) + 1)
    assert f"at most {FRAMES} frames, got {int(FRAMES) + 1}" in line


def test_a_folder_that_is_no_encoder_is_refused(ast: Path, tmp_path: Path, offline: list[object]) -> None:
    assert "net.path=DIR" in refusal(None)
    assert "there is no such folder" in refusal(tmp_path / "no")
    assert "there is no such folder" in refusal("MIT/ast-finetuned-audioset-10-10-0.4593")  # nor is it fetched
    assert "no config.json" in refusal(tmp_path)
    for name in ("bare", "broken", "half"):
        shutil.copytree(ast, tmp_path / name)
    (tmp_path / "bare" / "model.safetensors").rename(tmp_path / "bare" / "pytorch_model.bin")
    assert "no others are read" in refusal(tmp_path / "bare")
    torch.save(load_file(ast / "model.safetensors"), tmp_path / "bare" / "pytorch_model.bin")
    save_file({"a": torch.zeros(1)}, tmp_path / "bare" / "other.safetensors")
    assert "cannot load it" in refusal(tmp_path / "bare")
    (tmp_path / "broken" / "config.json").write_text("{")
    assert "cannot read it" in refusal(tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text((ast / "config.json").read_text())
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no weights")
    assert "cannot load it" in refusal(tmp_path / "broken")
    state = load_file(ast / "model.safetensors")
    kept = {k: v for k, v in state.items() if ".layer.1." not in k}
    save_file(kept, tmp_path / "half" / "model.safetensors", {"format": "pt"})
    assert 0 < len(kept) < len(state)
    assert f"{len(state) - len(kept)} weights lack" in refusal(tmp_path / "half")
    assert not offline


def test_no_code_of_a_folder_is_run(ast: Path, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    shutil.copytree(ast, folder)
    mark = tmp_path / "mark"
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "own"}
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    (folder / "config.json").write_text(json.dumps(config))
    assert f"net.path={folder}: transformers cannot read it" in refusal(folder)
    assert not mark.exists()


def test_what_takes_no_spectrogram_is_refused_by_name(tmp_path: Path) -> None:
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    waves = {"conv_dim": [8], "conv_kernel": [3], "conv_stride": [2], "num_conv_pos_embedding_groups": 2}
    for name, config in {
        "wav2vec2": transformers.Wav2Vec2Config(**sizes, **waves),
        "hubert": transformers.HubertConfig(**sizes, **waves),
        "bert": transformers.BertConfig(**sizes, vocab_size=20),
        "whisper": transformers.WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, vocab_size=60000),
    }.items():
        config.save_pretrained(tmp_path / name)
        save_file({}, tmp_path / name / "model.safetensors")
        line = refusal(tmp_path / name)
        assert f"net.path={tmp_path / name}: {name} " in line
        assert ("takes waves" in line) == (name in ("wav2vec2", "hubert"))


def test_without_the_library_it_says_what_to_install(ast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    line = refusal(ast)
    assert line.startswith("net=encoder needs the library transformers")
    assert "pip install 'genrelab[nets]'" in line
