"""Where a patch may be read: the grid of cells at every magnification, and which of them hold tissue."""
