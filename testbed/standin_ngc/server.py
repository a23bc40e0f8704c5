"""The stand-in NGC as a server: its models, its keys, and the tokens that it gave.

Belongs here: what it knows.
Does not: the endpoints (api.py), ports and links (slipway.stack.standin_hub.doors).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from slipway.stack.standin_hub.doors import TwoDoors
from testbed.standin_ngc.api import NgcHandler
from testbed.standin_ngc.models import NgcModel


class StandinNgc(TwoDoors):
    """A running stand-in NGC, as a context manager; `url` is the value of both `SLIPWAY_NGC_*_URL`.

    `tokens` are those that count: clear it, and every client must ask for another.
    """

    def __init__(
        self,
        models: Iterable[NgcModel] = (),
        *,
        keys: Iterable[str] = (),
        page_size: int = 1000,
        token_life_s: float = 3600.0,
    ) -> None:
        self.keys = set(keys)
        self.tokens: set[str] = set()
        self.given_tokens = 0
        self.page_size = page_size
        self.token_life_s = token_life_s
        self._models = {(model.org, model.team, model.name): model for model in models}
        super().__init__(NgcHandler)

    def model(self, org: str, team: str | None, name: str) -> NgcModel | None:
        """The model of that owner and name."""
        return self._models.get((org, team, name))

    def new_token(self) -> str:
        """A token that counts from now on."""
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        self.given_tokens += 1
        return token
