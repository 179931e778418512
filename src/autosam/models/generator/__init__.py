"""The prompt generator: two kinds of UNet, and their maps of a whole image."""
