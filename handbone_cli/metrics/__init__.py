"""How well masks agree with labels, bone by bone: overlaps, and distances of their borders."""
