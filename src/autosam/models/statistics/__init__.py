"""What a model file keeps about its training images: statistics for the novelty, and the region classifier."""
