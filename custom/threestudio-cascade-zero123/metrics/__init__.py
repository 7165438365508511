"""How good pictures are, measured against the truth."""
