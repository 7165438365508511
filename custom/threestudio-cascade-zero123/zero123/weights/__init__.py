"""Weights of a Zero-1-to-3 in every layout in which they are published, read without running anything."""
