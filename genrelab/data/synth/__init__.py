"""Procedural songs in six genres, with the truth about them: tempo, beats, artist, album, studio.

`genres` says what a genre is, `plan` draws the songs of a corpus, `arrange` writes their notes, `instruments` and
`drums` sound them, `render` mixes, `studio` is the production chain, `corpus` is `data=synth`.
"""
