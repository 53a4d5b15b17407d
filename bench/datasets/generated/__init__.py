"""Slides that are made here, with a known answer: the demo, Megapixel MNIST, pyramids of arrays."""
