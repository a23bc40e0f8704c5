"""The token for a hub: which variable it comes from, and what to do when it is refused.

Belongs here: finding it. Does not: sending it (hub.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.artifacts.transfer.secrets import named_secret
from slipway.catalog.fields import SecretRef

DEFAULT_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  a variable's name, not a token


class HubToken:
    """A hub token and the variable that it came from; only the variable is ever shown."""

    def __init__(self, variable: str, value: str | None) -> None:
        self.variable = variable
        self.value = value

    @classmethod
    def find(cls, ref: SecretRef | None, variables: Mapping[str, str], location: str) -> HubToken:
        """The token that the catalog names, else `HF_TOKEN`, else none."""
        return cls(*named_secret(ref, DEFAULT_TOKEN_VARIABLE, variables, location))

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the hub itself carries; nothing without a token."""
        return {"Authorization": f"Bearer {self.value}"} if self.value else {}

    @property
    def remedy(self) -> str:
        """What to do when the hub refuses."""
        if self.value:
            return f"The token in {self.variable} was not accepted: use one whose account has access."
        return (
            f"No token was sent: set `token.env` in the catalog, or {self.variable}, to one that has access."
        )

    def __repr__(self) -> str:
        return f"HubToken({self.variable})"
