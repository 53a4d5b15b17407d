"""Columns of every table, each list the one home of what is computed, how it is called and how it is shown."""
