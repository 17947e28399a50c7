"""What can be set in the HRNets; importable without torch."""

from __future__ import annotations

from handbone_cli import Options


class HrnetOptions(Options):
    """Options of hrnet_w18, hrnet_w32, hrnet_w48 and of those with object contexts."""

    pretrained: bool = False
    """Start the backbone from ImageNet weights, downloaded on first use."""
