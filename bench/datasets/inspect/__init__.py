"""Looking at a dataset: its card, a contact sheet, and whether it holds what it should (`verify`)."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cards": ["card_markdown", "card_rows", "describe", "find_here"],
        "contact_sheet": ["draw_contact_sheet"],
        "picture": ["check_picture", "write_picture"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.inspect.cards import card_markdown as card_markdown
    from bench.datasets.inspect.cards import card_rows as card_rows
    from bench.datasets.inspect.cards import describe as describe
    from bench.datasets.inspect.cards import find_here as find_here
    from bench.datasets.inspect.contact_sheet import draw_contact_sheet as draw_contact_sheet
    from bench.datasets.inspect.picture import check_picture as check_picture
    from bench.datasets.inspect.picture import write_picture as write_picture
