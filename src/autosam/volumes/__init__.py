"""Volumes: the way of an image over (slab of slices × block of tiles), and everything across them as edges."""
