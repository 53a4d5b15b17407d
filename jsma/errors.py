"""What can be wrong with an encoder or a strategy; apart from the networks, so that a command can catch it unloaded."""


class EncoderError(ValueError):
    """An encoder that cannot be built; one line: what, got, allowed, remedy."""


class EvidenceRefusedError(ValueError):
    """A strategy that does not say that it uses evidence has asked for it."""


class ContractError(ValueError):
    """What a strategy does that the contract forbids, in one line. `__cause__`: what it raised, if it raised."""
