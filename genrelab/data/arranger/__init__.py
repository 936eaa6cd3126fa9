"""Clips that the program `mma` arranges and `fluidsynth` plays: styles, charts, rendering."""
