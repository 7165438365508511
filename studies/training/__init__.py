"""Trainings that are started by a script, each once: see runs.py."""
