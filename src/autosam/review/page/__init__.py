"""The page on which a person corrects results."""

MOST_CROPS = 100
"""Crops on a page, where nobody says how many."""
MOST_PARTS = 60
"""The same of parts of whole images, which are larger: with more, their pictures would become coarser."""
