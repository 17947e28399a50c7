"""Probabilities at rest: the only contract between prediction and everything after it."""
