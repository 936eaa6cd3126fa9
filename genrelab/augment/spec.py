"""SpecAugment (Park et al. 2019) without its warp: stripes of a picture are painted over."""

from __future__ import annotations

from torch import Tensor

from genrelab.augment.wave import share
from genrelab.types import UserError


class Spec:
    """On every slice `n_times` stripes of up to `times` of its frames and `n_bands` of up to `bands` of its bins are
    its mean; where and how wide is drawn evenly. The masks are torchaudio's."""

    def __init__(self, n_times: int, times: float, n_bands: int, bands: float) -> None:
        self.times, self.bands = share("spec.times", times), share("spec.bands", bands)
        self.n_times, self.n_bands = n_times, n_bands
        if min(n_times, n_bands) < 0:
            raise UserError(f"augment.spec: n_times={n_times}, n_bands={n_bands}: expected 0 or more stripes")

    def __call__(self, x: Tensor) -> Tensor:
        """Slices (N, F, T) -> the same shape."""
        from torchaudio.functional import mask_along_axis_iid

        mean = x.mean((1, 2), keepdim=True)
        x = (x - mean)[:, None]  # torchaudio wants a channel
        stripes = ((2, self.n_bands, self.bands), (3, self.n_times, self.times))
        for axis, n, most in stripes:
            for _ in range(n):
                x = mask_along_axis_iid(x, round(most * x.shape[axis]) + 1, 0.0, axis)  # it draws below that
        return x[:, 0] + mean
