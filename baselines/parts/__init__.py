"""What strategies share and what is no strategy itself."""
