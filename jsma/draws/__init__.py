"""From attention to draws to estimates: sampling, estimators and their certainty."""
