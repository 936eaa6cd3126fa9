"""Any picture net of the timm library."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genrelab.net.base import Net
from genrelab.net.libraries import complaint, library

T = TypeVar("T")


class Timm(Net):
    """timm's `model` on pictures of one channel, without its classifier.

    Weights are random, or those of a local file, or what timm fetches: the last only where `pretrained` says so. Most
    of these models use batch normalisation: in training a slice changes its neighbours' embeddings, afterwards running
    statistics stand in for the batch.
    """

    def __init__(self, n_bins: int, n_frames: int, model: str, weights: str | None, pretrained: bool) -> None:
        super().__init__()
        timm = library("timm", "net=timm")
        _known(timm, str(model))
        if weights and pretrained:
            raise ValueError(f"net.weights={weights} and net.pretrained=true exclude each other: give one of them")
        options: dict[str, Any] = {"in_chans": 1, "num_classes": 0}
        about = timm.get_pretrained_cfg(model)
        if about is not None and about.fixed_input_size:
            options["img_size"] = (n_bins, n_frames)
        size = f"net.model={model} cannot be made for slices of {n_bins} bins x {n_frames} frames"
        if weights:
            self.inner = _from_file(timm, model, weights, options, size)
        elif pretrained:
            failed = f"net.pretrained=true: timm could not fetch the weights of net.model={model}"
            self.inner = _or(failed, "give net.weights=FILE", lambda: timm.create_model(model, True, **options))
        else:
            self.inner = _made(timm, model, options, size)
        self.dim = _or(size, "give another model or slice.n_frames", lambda: _width(self.inner, n_bins, n_frames))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        return self.inner(x[:, None])


def _or(what: str, instead: str, made: Callable[[], T]) -> T:
    """What `made` gives. Raises ValueError, a line, for anything that the library complains of."""
    try:
        return made()
    except Exception as error:  # timm's models raise whatever is at hand
        raise ValueError(f"{what} ({complaint(error)}): {instead}") from error


def _known(timm: Any, model: str) -> None:
    """Raises ValueError for a name that timm does not list; `hf-hub:` and the like would fetch without being asked."""
    if timm.is_model(model.partition(".")[0]):
        return
    near = difflib.get_close_matches(model.rpartition(":")[2].rpartition("/")[2], timm.list_models(), 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; timm.list_models() names them"
    raise ValueError(f"net.model={model}: timm {timm.__version__} lists no such model{hint}")


def _made(timm: Any, model: str, options: dict[str, Any], size: str) -> nn.Module:
    return _or(size, "give another model or slice.n_frames", lambda: timm.create_model(model, False, **options))


def _from_file(timm: Any, model: str, weights: str, options: dict[str, Any], size: str) -> nn.Module:
    """The model with a file's weights, of three colours or one. timm takes no code from it: weights only.

    timm passes over what it does not find in the file, so each random weight has to have become another.
    """
    path = Path(str(weights)).expanduser()
    if not path.is_file():
        raise ValueError(f"net.weights={weights}: there is no such file; give a .safetensors or .pth file of {model}")
    state = torch.get_rng_state()
    random = _made(timm, model, options, size)
    torch.set_rng_state(state)
    source = {"file": str(path), "custom_load": path.suffix == ".npz"}
    failed, instead = f"net.weights={weights} does not fit net.model={model}", "give a file of that model"
    more = options | {"pretrained_cfg_overlay": source}
    loaded = _or(failed, instead, lambda: timm.create_model(model, True, **more))
    drawn = {k: p for k, p in random.named_parameters() if p.dim() > 1 and p.std() > 0}
    lacking = [k for k, p in loaded.named_parameters() if k in drawn and torch.equal(p, drawn[k])]
    if lacking:
        raise ValueError(f"{failed} ({len(lacking)} of {len(drawn)} weights lack, {lacking[0]} for one): {instead}")
    return loaded


@torch.no_grad()
def _width(model: nn.Module, n_bins: int, n_frames: int) -> int:
    """The width of what the model gives, which is not `num_features` for all of them."""
    z = model.eval()(torch.zeros(1, 1, n_bins, n_frames))
    model.train()
    if z.dim() != 2:
        raise ValueError(f"it gives {tuple(z.shape)} for a slice")
    return int(z.shape[1])
