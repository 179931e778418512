"""What is fitted to the training images once the networks are trained."""
