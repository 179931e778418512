"""Adapting a model to few labels."""
