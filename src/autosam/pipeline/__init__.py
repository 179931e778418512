"""The way of one image, step by step, and runs over many images."""
