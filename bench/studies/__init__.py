"""One research question a file: `jsma-bench study NAME`. `commands` holds the options of all."""

__all__ = ["STUDIES"]

STUDIES: dict[str, str] = {
    "hint-by-evidence": "Where sampling wins, over hints and evidence shares.",
    "tuning": "Settings of every strategy, chosen on other slides than the tables'.",
    "slide-size": "Cost of inference against the size of the slide.",
    "linear-probe": "What the encoder tells at each magnification by itself.",
    "interval-coverage": "Do the intervals cover the truth as often as they say?",
    "estimator-bias": "Bias and spread of every estimator, by exact enumeration.",
    "made-up-runs": "Made-up run directories, to test what reads runs. Never a result.",
    "reading": "Reading measured against its floor and its rivals.",
}
"""Name -> what it answers. The function of that name in `bench.studies.commands` is the command."""
