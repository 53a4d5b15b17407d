"""One research question a file."""
