"""Weights on disk: model files, base weights, and both by name."""
