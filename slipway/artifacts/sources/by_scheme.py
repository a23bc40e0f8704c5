"""All kinds of sources behind one: picks by the scheme of the catalog's source.

Belongs here: the choice, and what each kind is configured from.
Does not: how any of them is read (hub.py and the modules beside it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import Snapshot, Source
from slipway.artifacts.sources.file import FileSource
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.sources.ngc import NgcSource
from slipway.artifacts.sources.s3 import S3Source
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.catalog.documents import Settings
from slipway.catalog.fields import SecretRef
from slipway.environment import Environment


class Sources:
    """One `source.Source` for every scheme that the catalog may name."""

    def __init__(self, by_scheme: Mapping[str, Source]) -> None:
        self._by_scheme = by_scheme

    @classmethod
    def of(
        cls, environment: Environment, settings: Settings, tell: Callable[[str], None] | None = None
    ) -> Sources:
        """The sources as the environment (addresses, secrets) and the catalog's settings describe them.

        `tell` gets a line for people while one of them is waited for.
        """
        retry = RetryPolicy.of(environment.variables, *([tell] if tell else []))
        return cls(
            {
                "hf": HubSource.from_environment(environment, retry),
                "ngc": NgcSource.from_environment(environment, retry),
                "s3": S3Source(
                    lambda: environment.s3, settings.s3_sources, environment.variables, retry=retry
                ),
                "file": FileSource(),
            }
        )

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> Snapshot:
        """Find the commit that a revision means now, at the source that the location's scheme names."""
        scheme = location.split("://", 1)[0]
        source = self._by_scheme.get(scheme)
        if source is None:
            raise SourceError(
                f"{location}: no source for {scheme}://. Use one of "
                f"{', '.join(f'{each}://' for each in self._by_scheme)}."
            )
        return source.resolve(location, revision, token)
