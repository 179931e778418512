"""Training tiles: images loaded, cut, changed at random and put into batches; what they should give."""
