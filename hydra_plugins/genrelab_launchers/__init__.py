"""Hydra's launchers as a sweep of genrelab needs them: what becomes of one run stops no other, cores are shared out,
an interrupt ends them all. Hydra takes launchers from the package `hydra_plugins` alone."""
