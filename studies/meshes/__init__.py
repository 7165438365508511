"""Meshes from one picture, scored against the true object beside what any method has to beat."""
