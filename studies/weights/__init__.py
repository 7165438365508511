"""Weights: fetched, and converted from one layout into another."""
