"""What files say and hold: TIFF headers, geometry, descriptions, colours, JPEG streams, photos."""
