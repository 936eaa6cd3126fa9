"""Windows of one length: how many, where, and never outside of the song."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts import part


@settings(deadline=None)
@given(duration_s=st.floats(0, 4000), length_s=st.floats(0.1, 10), hop_s=st.floats(0.05, 10))
def test_spans_lie_inside_and_none_is_forgotten(duration_s: float, length_s: float, hop_s: float) -> None:
    slicer = part("slice/fixed", length_s=length_s, hop_s=hop_s)
    spans = slicer.spans(duration_s)
    n = len(spans)
    assert spans.shape == (n, 2)
    assert torch.allclose(spans[:, 0], torch.arange(n, dtype=torch.float64) * hop_s)
    assert torch.allclose(spans[:, 1] - spans[:, 0], torch.tensor(length_s, dtype=torch.float64))
    if n:
        assert spans[-1, 1] <= duration_s + 2e-5  # rounding, a thousandth of a frame
    assert n * hop_s + length_s > duration_s - 2e-5  # one more would not have fitted
    assert (n == 0) == (duration_s < slicer.min_s - 1e-6)


@pytest.mark.parametrize(
    ("duration_s", "hop_s", "n"),
    [
        (30.0, 2.56, 11),  # 1 + floor((30 - 2.56) / 2.56)
        (30.0, 1.28, 22),  # half a slice overlaps
        (2.56, 2.56, 1),
        (5.12, 2.56, 2),  # to the sample: no slice is lost to rounding
        (25.6, 2.56, 10),
        (2.559, 2.56, 0),
        (0.0, 2.56, 0),
        (30.0, 5.12, 6),  # gaps between slices
    ],
)
def test_count(duration_s: float, hop_s: float, n: int) -> None:
    spans = part("slice/fixed", hop_s=hop_s).spans(duration_s)
    assert spans.shape == (n, 2)


def test_every_whole_number_of_slices_counts() -> None:
    slicer = part("slice/fixed")
    for n in range(1, 400):
        assert len(slicer.spans(n * 56448 / 22050)) == n


@pytest.mark.parametrize("wrong", [{"length_s": 0}, {"hop_s": -1}, {"n_frames": 0}])
def test_nonsense_is_refused_by_name(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"slice\.{name}={wrong[name]}.*above 0"):
        part("slice/fixed", **wrong)
