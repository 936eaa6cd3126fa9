"""Binary cross entropy in which easy absent genres count less."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def asymmetric_loss(scores: Tensor, target: Tensor, gamma_pos: float, gamma_neg: float, clip: float) -> Tensor:
    """The asymmetric loss (Ridnik et al. 2021), its mean over all songs and genres; with zeros plain cross entropy.

    scores: (N, K) logits; target: (N, K) 0..1. The terms of present and absent genres are multiplied by (1 - p) to
    gamma_pos and by p to gamma_neg; an absent genre's p is lowered by `clip` first.
    """
    scores, target = scores.float(), target.float()
    if not (gamma_pos or gamma_neg or clip):
        return binary_cross_entropy_with_logits(scores, target)
    p = scores.sigmoid()
    q = (1 - p + clip).clamp(max=1)  # of an absent genre: the probability that it is absent
    # the slope of a root at 0 is endless
    present = target * (1 - p).clamp_min(1e-8).pow(gamma_pos) * p.clamp_min(1e-8).log()
    absent = (1 - target) * (1 - q).clamp_min(1e-8).pow(gamma_neg) * q.clamp_min(1e-8).log()
    return -(present + absent).mean()
