"""Asking a GraphQL server of our own over HTTP: one call, and what can go wrong with it.

Belongs here: the request, and its errors. It stands in no room because a sensor and the embedded stack
ask the same server: sensors may not import the stack, nor the stack a sensor.
Does not: which server that is, queries, or what their answers mean (they stand where they are asked).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

# Our own server is never behind a proxy, whatever HTTP_PROXY says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class GraphqlError(Exception):
    """There is no answer to a query; the message says why."""


class UnreachableError(GraphqlError, OSError):
    """The server did not answer as it should."""


class RefusedError(GraphqlError, RuntimeError):
    """The server refused the query; the message has its words."""


def ask(
    server_url: str, query: str, variables: Mapping[str, Any] | None = None, *, timeout_s: float = 60
) -> dict[str, Any]:
    """What `server_url`/graphql answers. Raises UnreachableError or RefusedError."""
    body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
    url, headers = f"{server_url}/graphql", {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the URL is our own server's
    try:
        with _OPENER.open(request, timeout=timeout_s) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        raise UnreachableError(f"{url} answers {error.code}") from error
    except OSError as error:
        raise UnreachableError(f"{url} does not answer: {getattr(error, 'reason', error)}") from error
    except ValueError as error:
        raise UnreachableError(f"{url} answers what is not JSON: {error}") from error
    if answer.get("errors"):
        raise RefusedError(f"{url} refuses: {json.dumps(answer['errors'])[:800]}")
    data: dict[str, Any] = answer["data"]
    return data
