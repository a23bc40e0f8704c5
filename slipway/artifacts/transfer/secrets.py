"""Secrets from environment variables, as a header or a signature can carry them.

Belongs here: reading one, and refusing what would otherwise show up in an error of a library.
Does not: which variable it is (slipway.artifacts.sources, images/access.py), or sending it.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.artifacts.errors import AccessError
from slipway.catalog.fields import SecretRef


def secret_in(variables: Mapping[str, str], name: str) -> str | None:
    """The variable's value without the blanks around it that a file or a shell leaves; None when it is empty.

    Raises AccessError, which names the variable and never the value, when a request cannot carry it.
    """
    value = variables.get(name, "").strip()
    if not value.isascii() or not value.isprintable():
        raise AccessError(
            f"{name} holds a line break or another character that no token or key has. Set it again, without."
        )
    return value or None


def named_secret(
    ref: SecretRef | None, default: str, variables: Mapping[str, str], location: str
) -> tuple[str, str | None]:
    """(variable, value) of the secret that the catalog names for a source, else of the default variable.

    Raises AccessError when the catalog names a variable that is not set.
    """
    named = ref.env if ref else None
    value = secret_in(variables, named or default)
    if named and value is None:
        raise AccessError(
            f"{location}: its token is to come from {named}, which is not set. "
            f"Set {named}, or remove `token` from the catalog if it is open to all."
        )
    return named or default, value
