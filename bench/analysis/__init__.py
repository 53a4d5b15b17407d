"""Finished runs to numbers: no model is run here, and no text is made."""
