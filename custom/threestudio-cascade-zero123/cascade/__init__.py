"""Base-0123 prompts Refiner-0123 with nearby views of its own making."""
