"""Errors of encoders and strategies. A command can catch them without loading a network."""


class EncoderError(ValueError):
    """An encoder that cannot be built, in one line: what is wrong, what was got, what is allowed, what to do."""


class EvidenceRefusedError(ValueError):
    """A strategy has asked for the evidence and does not declare that it uses it."""


class ContractError(ValueError):
    """A strategy did what the contract forbids, in one line. `__cause__` is what it raised, if it raised."""
