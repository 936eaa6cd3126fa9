"""What a run shows of itself: pictures for paper and page, tables for the terminal."""
