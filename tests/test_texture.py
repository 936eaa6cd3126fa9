"""The texture of made pictures by hand, and what it is for: noise is far from what has shape, on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.evaluate.rejection import Known
from genrelab.texture import BANDS, FLOOR, texture

F, T = 32, 40
PARTS = ("level", "time", "bin 1", "spectrum 1", "bin 2", "spectrum 2")  # in this order, BANDS figures of each


def parts(picture: Tensor) -> dict[str, np.ndarray]:
    (row,) = texture(picture[None])
    assert row.shape == (len(PARTS) * BANDS,)
    return dict(zip(PARTS, row.numpy().reshape(len(PARTS), BANDS), strict=True))


def log(x: float) -> float:
    return float(np.log(x + FLOOR))


def test_a_flat_picture_has_a_level_and_nothing_else() -> None:
    found = parts(torch.full((F, T), 3.0))
    np.testing.assert_allclose(found.pop("level"), 3)
    for name, value in found.items():
        np.testing.assert_allclose(value, log(0), atol=1e-5, err_msg=name)


def test_a_slope_over_the_bins_by_hand() -> None:
    found = parts(0.5 * torch.arange(F)[:, None].float().expand(F, T))
    np.testing.assert_allclose(found["time"], log(0), atol=1e-5)
    for lag in (1, 2):
        for name in ("bin", "spectrum"):
            np.testing.assert_allclose(found[f"{name} {lag}"], log((0.5 * lag) ** 2), rtol=1e-4)
    np.testing.assert_allclose(found["level"], 0.5 * (np.arange(F).reshape(BANDS, -1).mean(1)))


def test_a_flicker_over_the_frames_by_hand() -> None:
    """All bins rise and fall together: every step in time, none between bins."""
    found = parts((torch.arange(T) % 2).float().expand(F, T))
    np.testing.assert_allclose(found["time"], log(1), atol=1e-5)
    for name in ("bin 1", "bin 2", "spectrum 1", "spectrum 2"):
        np.testing.assert_allclose(found[name], log(0), atol=1e-5, err_msg=name)


def test_what_averages_out_is_in_the_bins_and_not_in_the_spectrum() -> None:
    flicker = (torch.arange(T) % 2).float()
    found = parts(torch.stack([flicker if f % 2 else 1 - flicker for f in range(F)]))
    np.testing.assert_allclose(found["bin 1"], log(1), atol=1e-5)
    np.testing.assert_allclose(found["spectrum 1"], log(0), atol=1e-5)
    np.testing.assert_allclose(found["bin 2"], log(0), atol=1e-5)


def test_a_figure_belongs_to_its_band() -> None:
    picture = torch.zeros(F, T)
    picture[-4:] = torch.randn(4, T, generator=torch.Generator().manual_seed(0))
    found = parts(picture)
    assert (found["time"][:-1] == found["time"][0]).all()
    assert found["time"][-1] > found["time"][0] + 3


@pytest.mark.parametrize("n_bins", [1, 2, 3, 12, 20, 84, 128])
@pytest.mark.parametrize("n_frames", [1, 2, 128])
def test_pictures_of_any_size(n_bins: int, n_frames: int) -> None:
    x = torch.randn(5, n_bins, n_frames, generator=torch.Generator().manual_seed(1))
    found = texture(x)
    assert found.isfinite().all()
    torch.testing.assert_close(found[2:3], texture(x[2:3]))  # a slice does not depend on its batch
    assert found.dtype == torch.float32 == texture(x.bfloat16()).dtype


def test_too_smooth_is_as_far_as_too_rough() -> None:
    """Squares alone would call what has no structure the most ordinary of all."""
    random = torch.Generator().manual_seed(2)

    def songs(n: int, roughness: float) -> np.ndarray:
        own = roughness * torch.exp(0.2 * torch.randn(n, 1, 1, generator=random))
        return texture(own * torch.randn(n, F, T, generator=random)).double().numpy()

    known = Known.fit(np.ones((200, 1)), songs(200, 1.0), np.zeros(200, int), neighbours=3)
    usual = np.quantile(known.texture(songs(200, 1.0)), 0.05)
    assert (known.texture(songs(50, 0.1)) < usual).all()
    assert (known.texture(songs(50, 10.0)) < usual).all()
