"""What can be set in the FCNs; importable without torch."""

from __future__ import annotations

from handbone_cli import Options


class FcnOptions(Options):
    """Options of fcn_resnet50 and fcn_resnet101."""

    pretrained: bool = False
    """Start the backbone from ImageNet weights, downloaded on first use."""
    auxiliary: bool = False
    """Train a second head on the stage before the last, at half the weight of the first."""
