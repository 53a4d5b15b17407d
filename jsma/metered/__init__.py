"""The only way in which pixels and features reach a strategy: through a meter.

A `Desk` holds what one pass shares (meter, encoder, store); `MeteredSlide` is one slide seen from it.
"""

from jsma.errors import EvidenceRefusedError
from jsma.metered.services import Desk
from jsma.metered.slide import EvidenceOf, MeteredSlide, features_of
from jsma.metered.view import SlideView, ViewSettings

__all__ = ["Desk", "EvidenceOf", "EvidenceRefusedError", "MeteredSlide", "SlideView", "ViewSettings", "features_of"]
