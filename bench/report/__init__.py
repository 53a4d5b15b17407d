"""One folder that people can act on: a page, tables and figures over finished runs. Nothing here computes a metric."""
