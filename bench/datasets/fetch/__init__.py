"""Downloading datasets from their official sources: listed, resumed, checked, unpacked safely; never by `run`."""
