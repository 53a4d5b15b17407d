"""Photos to tiled pyramids, once, so that reading a part of one costs a part of it."""
