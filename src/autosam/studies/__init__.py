"""Studies of settings: a grid of them scored side by side, and the best thresholds for a model."""
