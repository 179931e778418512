"""Scores of results on disk: where labels come from, which belong together, and tables of the scores."""
