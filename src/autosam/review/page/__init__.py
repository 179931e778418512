"""The page on which a person corrects results."""

MOST_CROPS = 100
"""Crops on a page, where nobody says how many."""
