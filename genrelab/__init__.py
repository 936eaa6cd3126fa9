"""genrelab: settle arguments about music genre classification with measurements."""

__version__ = "0.1.0"
