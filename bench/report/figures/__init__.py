"""The figures of the report: their numbers, their drawing, their style."""
