"""The torch floor: models in their wrapper, weights on disk, labels on the device."""
