"""Checkpoint to probabilities: windows, TTA, the predictor."""
