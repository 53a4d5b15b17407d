"""The only way in which pixels and features reach a strategy: through a meter.

A `Desk` holds what one pass shares (meter, encoder, store). A `MeteredSlide` is one slide seen from it.
"""

from typing import TYPE_CHECKING

import lazy_loader

# lazily: a store of features is of use without torch
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "services": ["Desk"],
        "feature_map": ["FeatureMap"],
        "slide": ["EvidenceOf", "EvidenceRefusedError", "MeteredSlide"],
        "store": ["FeatureStore", "UnitCost"],
        "together": ["features_of"],
        "view": ["SlideView", "ViewSettings"],
    },
)

if TYPE_CHECKING:
    from jsma.errors import EvidenceRefusedError as EvidenceRefusedError
    from jsma.metered.feature_map import FeatureMap as FeatureMap
    from jsma.metered.services import Desk as Desk
    from jsma.metered.slide import EvidenceOf as EvidenceOf
    from jsma.metered.slide import MeteredSlide as MeteredSlide
    from jsma.metered.store import FeatureStore as FeatureStore
    from jsma.metered.store import UnitCost as UnitCost
    from jsma.metered.together import features_of as features_of
    from jsma.metered.view import SlideView as SlideView
    from jsma.metered.view import ViewSettings as ViewSettings
