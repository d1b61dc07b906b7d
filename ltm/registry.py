"""What a config names by an import path, ``package.module:Class``: classes of the user's own beside those of the library."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TypeVar

from ltm.errors import UserError, reason, unknown

T = TypeVar("T")


def find(what: str, name: object, library: Mapping[str, type[T]], base: type[T], public: str = "", lacks: str = "none") -> type[T]:
    """The class of a library name, or of an import path.

    Args:
        what: what a message calls it, such as ``dataset kind``.
        base: what a class of the user's inherits from; ``public``: the name that users know it by, where that is not where it stands.
        lacks: what another class is not, in words: ``no cell``.

    Raises:
        UserError: no such name, which the message answers with those of the library; no such class; or one of another kind.
    """
    if not isinstance(name, str) or ":" not in name:
        if not isinstance(name, str) or name not in library:
            raise unknown(what, name, library)
        return library[name]
    module, _, attribute = name.partition(":")
    expected = f"expected package.module:Class, a class that inherits from {public or f'{base.__module__}.{base.__name__}'}"
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module is the user's: whatever it raises
        raise UserError(
            f"{what} '{name}' cannot be imported ({reason(error)}); {expected}, in a module that can be imported from here."
        ) from None
    if not (isinstance(found, type) and issubclass(found, base)):
        is_what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise UserError(f"{what} '{name}' is {lacks} but {is_what}; {expected}.")
    return found
