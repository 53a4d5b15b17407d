"""Small trained networks: attention over cells, the adapter of features, the scale of features."""
