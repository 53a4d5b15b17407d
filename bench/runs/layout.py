"""The layout of a run's directory: names of its files, and ends of names of folders that are no finished runs."""

STATUS, SETTINGS, TRAIN, ENVIRONMENT, PREDICTIONS = (
    "status.json",
    "settings.json",
    "train.json",
    "environment.json",
    "predictions.parquet",
)
NEEDED = (SETTINGS, TRAIN, ENVIRONMENT, PREDICTIONS)
CURVE, LOOKS, SWEEP, SWEPT = "curve.parquet", "looks.npz", "sweep.parquet", "sweep.jsonl"
"""What only some tables and pages need. SWEPT: a line for each SWEEP that was written, added before it is: whoever is
killed in between, or sweeps at the same time, leaves a file that is known."""
COMPLETE = "complete"
PARTIAL, DAMAGED = ".partial", ".damaged"  # ends of the names of folders that are no finished runs
