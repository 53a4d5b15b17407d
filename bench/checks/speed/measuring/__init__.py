"""Running the measuring process, for this code and for another revision."""
