"""net=timm: the library's models on pictures of one channel; weights from a file, or fetched where the user says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from genrelab.compose import bare
from genrelab.net.base import Net
from tests.parts import config, part

SMALL = "test_resnet"  # timm's own model for tests


def made(n_bins: int = 64, n_frames: int = 96, **words: Any) -> Net:
    return part("net/timm", **words)(n_bins=n_bins, n_frames=n_frames)


def coloured(model: str) -> torch.nn.Module:
    """A model as it is published: of three colours and with a classifier."""
    torch.manual_seed(1)
    return timm.create_model(model, num_classes=10).eval()


def refusal(**words: Any) -> str:
    with pytest.raises(ValueError, match="net") as raised:
        made(**words)
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize("model", [SMALL, "test_vit", "mobilenetv3_small_050", "resnet10t.c3_in1k"])
def test_the_embedding_is_as_wide_as_it_says(model: str, offline: list[object]) -> None:
    """MobileNet is wider than its num_features; a transformer is made for the very size of the slices."""
    net = made(model=model)
    assert net.training
    with torch.no_grad():
        z = net.eval()(torch.randn(3, 64, 96))
    assert z.shape == (3, net.dim)
    assert not torch.allclose(z[0], z[1])
    assert not offline


def test_the_default_is_a_model_that_timm_lists() -> None:
    assert timm.is_model(config("net/timm")["model"])


@pytest.mark.parametrize("kind", ["pth", "safetensors", "state_dict"])
def test_weights_are_those_of_the_file(tmp_path: Path, kind: str, offline: list[object]) -> None:
    """The three colours of its first layer are added up: a grey picture is answered as if it were given thrice."""
    source = coloured(SMALL)
    path = tmp_path / f"weights.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(source.state_dict(), path)
    else:
        torch.save({"state_dict": source.state_dict()} if kind == "state_dict" else source.state_dict(), path)
    net, x = made(model=SMALL, weights=str(path)).eval(), torch.randn(2, 64, 96)
    source.reset_classifier(0)
    with torch.no_grad():
        assert torch.allclose(net(x), source(x[:, None].expand(-1, 3, -1, -1)), atol=1e-4)
    assert not offline


def test_a_transformer_of_another_size_gives_its_weights(tmp_path: Path) -> None:
    source = coloured("test_vit")
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    net = made(model="test_vit", weights=str(tmp_path / "vit.pth"))
    own, known = dict(net.inner.named_parameters()), dict(source.named_parameters())
    assert torch.equal(own["blocks.0.attn.qkv.weight"], known["blocks.0.attn.qkv.weight"])
    assert own["pos_embed"].shape != known["pos_embed"].shape


def test_a_file_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    """timm itself would leave random weights in their place without a word."""
    state = coloured(SMALL).state_dict()
    halved = {k: v for k, v in state.items() if not k.startswith("layer4")}
    for name, held in {"half": halved, "nothing": {"a": torch.zeros(1)}}.items():
        path = tmp_path / f"{name}.pth"
        torch.save(held, path)
        line = refusal(model=SMALL, weights=str(path))
        assert f"net.weights={path} does not fit net.model={SMALL}" in line
        assert "weights lack" in line
    assert "stem" not in refusal(model=SMALL, weights=str(tmp_path / "half.pth"))
    torch.save(coloured("test_vit").state_dict(), tmp_path / "vit.pth")
    assert "does not fit" in refusal(model=SMALL, weights=str(tmp_path / "vit.pth"))


class _Code:
    """What a pickle may do when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pth", tmp_path / "mark"
    torch.save({"state_dict": coloured(SMALL).state_dict(), "more": _Code(mark)}, path)
    line = refusal(model=SMALL, weights=str(path))
    assert str(path) in line
    assert "weights_only=False" not in line
    assert not mark.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    line = refusal(model=SMALL, weights=str(tmp_path / "no.pth"))
    assert f"net.weights={tmp_path / 'no.pth'}: there is no such file" in line


def test_an_unknown_model_is_refused_with_its_neighbours() -> None:
    assert "did you mean resnet18" in refusal(model="resnet81")
    assert "net.model=qqq" in refusal(model="qqq")
    assert "net.model=3" in refusal(model=3)


@pytest.mark.parametrize("model", ["hf-hub:timm/resnet18", "local-dir:x", "timm/resnet18.a1_in1k"])
def test_a_name_that_would_be_fetched_is_refused(model: str, offline: list[object]) -> None:
    assert "did you mean" in refusal(model=model) or "timm.list_models()" in refusal(model=model)
    assert not offline


def test_slices_that_a_model_does_not_take_are_refused() -> None:
    line = refusal(model="test_vit", n_bins=12, n_frames=96)
    assert "net.model=test_vit" in line
    assert "12 bins x 96 frames" in line


def test_weights_are_fetched_by_the_users_word_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, create = [], timm.create_model

    def recorded(model: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        asked.append(pretrained)
        if pretrained:
            raise OSError("the hub is away.\nmany lines\nmore")
        return create(model, pretrained, **options)

    monkeypatch.setattr(timm, "create_model", recorded)
    made(model=SMALL)
    assert asked == [False]
    line = refusal(model=SMALL, pretrained=True)
    assert asked == [False, True]
    assert "net.pretrained=true" in line
    assert "the hub is away" in line
    assert "net.weights=FILE" in line
    assert "exclude each other" in refusal(model=SMALL, pretrained=True, weights="x.pth")


def test_a_restored_net_asks_for_no_first_weights() -> None:
    own = config("net/timm", weights="gone.pth", pretrained=True)
    outer = config("net/frozen", net=own)
    for less in (bare(own), bare(outer)["net"]):
        assert less == own | {"weights": None, "pretrained": False}
    assert bare(config("net/cnn")) == config("net/cnn")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    line = refusal(model=SMALL)
    assert line.startswith("net=timm needs the library timm")
    assert "pip install 'genrelab[nets]'" in line
