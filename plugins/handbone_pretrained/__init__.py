"""The run that `hb` calls `pretrained`: weights from generated hands alone, see MODEL_CARD.md."""
