"""An audio encoder that the transformers library loads from a local folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from genrelab.net.base import Net
from genrelab.net.libraries import complaint, library

GIVE = "give the folder of an audio spectrogram encoder, as save_pretrained writes it"


class Encoder(Net):
    """An Audio Spectrogram Transformer or its like on slices; the embedding is its pooled output, else the tokens'
    mean.

    Slices are multiplied by `scale`. Where they have another number of bins than the encoder, those are interpolated.
    Frames are never stretched, for that is another tempo: zeros (norm=train: the mean) follow until the encoder's
    length, and slices that are longer are refused. What the encoder knows was learned at its own front-end and hop
    (AST: 128 mel bins, 10 ms), and it is worth most where front and slice are set alike. Nothing is fetched, and no
    code of the folder is run.
    """

    def __init__(self, n_bins: int, n_frames: int, path: str | None, frozen: bool, scale: float) -> None:
        super().__init__()
        if path is None:
            raise ValueError(f"net=encoder: net.path lacks; {GIVE}: net.path=DIR")
        self.inner, self.n_mels, self.length = _loaded(str(path))
        self.frozen, self.scale = frozen, scale
        if n_frames > self.length:
            raise ValueError(
                f"net=encoder takes slices of at most {self.length} frames, got {n_frames}: give slice.n_frames"
            )
        with torch.no_grad():
            self.inner.eval()
            try:
                self.dim = self(torch.zeros(1, n_bins, n_frames)).shape[1]
            except Exception as error:  # whatever an encoder of another kind stumbles over
                raise ValueError(f"net.path={path}: it takes no spectrograms ({complaint(error)}); {GIVE}") from error
        self.inner.requires_grad_(not frozen)
        self.train()

    def train(self, mode: bool = True) -> Encoder:
        """A frozen encoder stays as it answers in a test."""
        super().train(mode)
        if self.frozen:
            self.inner.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        said = self.inner(self.placed(x).transpose(1, 2))
        pooled = getattr(said, "pooler_output", None)
        return said.last_hidden_state.mean(1) if pooled is None else pooled

    def placed(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, the encoder's bins, the encoder's frames)."""
        if x.shape[1] != self.n_mels:
            x = interpolate(x[:, None], (self.n_mels, x.shape[2]), mode="bilinear")[:, 0]
        return pad(self.scale * x, (0, self.length - x.shape[2]))


def _loaded(path: str) -> tuple[nn.Module, int, int]:
    """The model in a folder, its mel bins and its frames. Raises ValueError where it holds none that takes pictures."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"net.path={path}: there is no such folder; {GIVE}")
    if not (folder / "config.json").is_file():
        raise ValueError(f"net.path={path}: there is no config.json in it; {GIVE}")
    if not list(folder.glob("*.safetensors")):
        raise ValueError(f"net.path={path}: there are no weights in it as .safetensors, and no others are read; {GIVE}")
    transformers = library("transformers", "net=encoder")
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), **safe)
    except Exception as error:
        raise ValueError(f"net.path={path}: transformers cannot read it ({complaint(error)}); {GIVE}") from error
    if hasattr(config, "conv_dim"):
        raise ValueError(f"net.path={path}: {config.model_type} takes waves and not pictures; {GIVE}")
    sizes = [getattr(config, key, None) for key in ("num_mel_bins", "max_length")]
    if config.is_encoder_decoder or not all(isinstance(s, int) for s in sizes):
        raise ValueError(f"net.path={path}: {config.model_type} is no encoder of mel pictures of one size; {GIVE}")
    try:
        with _Quiet(transformers):
            model, about = transformers.AutoModel.from_pretrained(
                str(folder), config=config, use_safetensors=True, output_loading_info=True, **safe
            )
    except Exception as error:
        raise ValueError(f"net.path={path}: transformers cannot load it ({complaint(error)}); {GIVE}") from error
    if about["missing_keys"]:
        lacking = sorted(about["missing_keys"])
        raise ValueError(f"net.path={path}: {len(lacking)} weights lack, {lacking[0]} for one; {GIVE}")
    return model.float(), config.num_mel_bins, config.max_length


class _Quiet:
    """No bars and reports of the library's while it loads: what it found is judged here."""

    def __init__(self, transformers: Any) -> None:
        self.logging = transformers.utils.logging

    def __enter__(self) -> None:
        self.verbosity, self.bars = self.logging.get_verbosity(), self.logging.is_progress_bar_enabled()
        self.logging.set_verbosity_error()
        self.logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        self.logging.set_verbosity(self.verbosity)
        if self.bars:
            self.logging.enable_progress_bar()
