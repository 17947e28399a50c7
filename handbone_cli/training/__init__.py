"""Batches to a checkpoint: the loop, its schedule, validation and checkpoints."""
