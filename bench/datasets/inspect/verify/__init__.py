"""Does a copy of a dataset hold what it should? Every slide looked at, every slide compared, one table."""

from bench.datasets.inspect.verify.verdict import Verdict, VerifySettings, verify

__all__ = ["Verdict", "VerifySettings", "verify"]
