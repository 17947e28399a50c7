"""Files to batches: decoding, preprocessing, one warp, augmentation, folds."""
