"""Making a run: what is asked, what is planned, trained, timed and kept."""
