"""What is measured, and the process that measures it: `python -m gauge` with `bench/checks/speed` on the path.

Runs on whichever `jsma` and `baselines` come first on the path, so that one and the same measurement drives two
revisions. Hence it imports those two packages and nothing of `bench`.
"""
