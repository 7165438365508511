"""Meshes and novel views from one picture, scored against the true object: controls, scores, and tables of them."""
