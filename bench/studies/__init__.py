"""One research question a file: `jsma-bench study NAME`."""

STUDIES: dict[str, tuple[str, str]] = {
    "hint-by-evidence": ("bench.studies.hint_by_evidence", "Where sampling wins, over hints and evidence shares."),
    "tuning": ("bench.studies.tuning", "Settings of every strategy, chosen on other slides than the tables'."),
    "slide-size": ("bench.studies.slide_size", "Cost of inference against the size of the slide."),
    "linear-probe": ("bench.studies.linear_probe", "What the encoder tells at each magnification by itself."),
    "interval-coverage": ("bench.studies.interval_coverage", "Do the intervals cover the truth as often as they say?"),
    "estimator-bias": ("bench.studies.estimator_bias", "Bias and spread of every estimator, by exact enumeration."),
    "made-up-runs": ("bench.studies.made_up_runs", "Made-up run directories, to test what reads runs. Never a result."),
    "reading": ("bench.studies.reading.measure", "Reading measured against its floor and its rivals."),
}
"""Name -> (module, what it answers). The `main` of the module is the command; its parameters are the options."""
