"""A slice, a vote."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import one_hot

from genrelab.agg.base import Agg, masked_mean

TIE = 1e-3  # the mean probability's share at most: enough to break a tie


class Vote(Agg):
    """Majority of the slices' first choices; a tie goes to the higher mean probability. The score is the log share.

    Where a song may have several genres, a slice votes for each that is likelier than not.
    """

    trained: ClassVar[bool] = False
    order_free: ClassVar[bool] = True

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        p = self.probabilities(slice_scores)  # half precision cannot count to 300, nor see a tie
        choice = (p > 0.5 if self.several else one_hot(p.argmax(-1), self.n_genres)).float()
        tie = (0.5 / (1 + mask.sum(1, keepdim=True))).clamp_max(TIE)  # less than a slice: never enough to outvote
        return self.log_scores((1 - tie) * masked_mean(choice, mask) + tie * masked_mean(p, mask))
