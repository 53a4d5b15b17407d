"""Reading measured against its floor and its rivals."""
