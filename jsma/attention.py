"""The old place of `jsma.networks.attention`; strategies in users' own files still import it from here."""

from jsma.networks.attention import AttentionNet, Pool, _on_hidden, pools_of

__all__ = ["AttentionNet", "Pool", "_on_hidden", "pools_of"]
