"""Lightning without what torchmetrics loads beside it: where transformers and torchvision are installed (net=timm,
net=encoder), they are more than half of its start, and no metric of theirs is used here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_utilities.core.imports import RequirementCache

UNUSED = ("gammatone", "librosa", "matplotlib", "nltk", "onnxruntime", "pesq", "pystoi", "torchvision", "transformers")


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    """Lightning's own question, whether an optional package is installed, is answered with no for these."""
    real = getattr(RequirementCache, "_check_requirement", None)
    if real is None:  # another version asks in another way: it loads more, and works as well
        yield
        return

    def check(self: Any) -> None:
        if re.split(r"[^A-Za-z0-9_.-]", self.requirement or "", maxsplit=1)[0].lower() in names:
            self.available, self.message = False, "not loaded"
        else:
            real(self)

    RequirementCache._check_requirement = check  # type: ignore[method-assign]
    try:
        yield
    finally:
        RequirementCache._check_requirement = real  # type: ignore[method-assign]


with without(UNUSED):
    import pytorch_lightning as pl
    from pytorch_lightning import callbacks
    from pytorch_lightning.plugins import TorchCheckpointIO
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

__all__ = ["MisconfigurationException", "TorchCheckpointIO", "callbacks", "pl"]
