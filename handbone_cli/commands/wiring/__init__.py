"""Wiring between stages that several commands share."""
