"""From measurements to findings: what is a regression, and how it is told."""
