"""What all front-ends share."""

import pytest

from genrelab.front.base import hop_samples


def test_a_hop_is_the_nearest_whole_number_of_samples() -> None:
    assert [hop_samples(0.02, rate) for rate in (22050, 11025, 16000)] == [441, 220, 320]


def test_a_hop_below_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"front\.hop_s=0: expected at least one sample"):
        hop_samples(0, 22050)
