"""The parts of a field: geometry, material, background, renderer; what guides it, and what writes it to files."""
