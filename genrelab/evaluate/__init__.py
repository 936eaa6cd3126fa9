"""Pure functions on arrays: the metrics and their intervals."""

from genrelab.evaluate.groups import song_groups
from genrelab.evaluate.intervals import Difference, Interval, Predictions, bootstrap, difference
from genrelab.evaluate.metrics import METRICS, confusion, from_confusion, majority, scores

__all__ = [
    "METRICS",
    "Difference",
    "Interval",
    "Predictions",
    "bootstrap",
    "confusion",
    "difference",
    "from_confusion",
    "majority",
    "scores",
    "song_groups",
]
