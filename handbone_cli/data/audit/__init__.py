"""Finds bad labels without a model: outlines against anatomy, image, partner and predictions."""
