"""Looking at a dataset: its card, a contact sheet, and whether it holds what it should."""
