"""A slice, a vote."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import one_hot

from genrelab.agg.base import Agg, masked_mean

TIE = 1e-3  # of a vote: enough to break a tie by the mean probability, never enough to outvote


class Vote(Agg):
    """Majority of the slices' first choices; a tie goes to the higher mean probability. The score is the log share."""

    trained = False

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        choice = one_hot(slice_scores.argmax(-1), self.n_genres).to(slice_scores.dtype)
        share = (1 - TIE) * masked_mean(choice, mask) + TIE * masked_mean(slice_scores.softmax(-1), mask)
        return share.clamp_min(1e-12).log()
