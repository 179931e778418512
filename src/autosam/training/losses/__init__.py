"""From SAM's and the generator's logits to the loss of a batch."""
