"""Trainings that a table compares, each once: used by train_ablations.py and explore_training.py."""
