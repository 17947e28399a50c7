"""Probabilities to masks: exact statistics, weights, cross-fitting, the decision file."""
