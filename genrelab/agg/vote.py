"""A slice, a vote."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import one_hot

from genrelab.agg.base import Agg, masked_mean

TIE = 1e-3  # the mean probability's share at most: enough to break a tie


class Vote(Agg):
    """Majority of the slices' first choices; a tie goes to the higher mean probability. The score is the log share."""

    trained = False

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        scores = slice_scores.float()  # half precision cannot count to 300, nor see a tie
        choice = one_hot(scores.argmax(-1), self.n_genres).float()
        tie = (0.5 / (1 + mask.sum(1, keepdim=True))).clamp_max(TIE)  # less than a slice: never enough to outvote
        share = (1 - tie) * masked_mean(choice, mask) + tie * masked_mean(scores.softmax(-1), mask)
        return share.clamp_min(1e-12).log()
