"""How far the masks of a film are to be trusted, told without its truth."""
