"""One POST to somebody else's server, and what came of it in words that name no secret.

Belongs here: the request within seconds, and each way in which it can fail.
Does not: what is sent and to whom (slipway.billing.webhook, slipway.alerts.sending), trying again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What became of a POST: `status` is 0 where there was no answer, `said` is that in words."""

    status: int
    said: str

    @property
    def is_taken(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """POST once; redirects are not followed, and the answer's body is not read. Raises nothing."""
    import urllib3

    try:
        with urllib3.PoolManager() as pool:
            # The answer's body says nothing here, and one without an end must not be waited for.
            reply = pool.request(
                "POST", url, body=body, headers=headers, timeout=urllib3.Timeout(total=timeout_s),
                retries=False, redirect=False, preload_content=False,
            )  # fmt: skip
            status = reply.status
            reply.close()
    except urllib3.exceptions.NewConnectionError:  # which urllib3 counts among its time-outs
        return Answer(0, "cannot be reached")
    except urllib3.exceptions.TimeoutError:
        return Answer(0, f"no answer within {timeout_s:g} s")
    except urllib3.exceptions.SSLError:
        return Answer(0, "its certificate is not trusted")
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        return Answer(0, "cannot be reached, or hung up")
    if 300 <= status < 400:
        return Answer(status, f"answered {status}, a redirect, which is not followed: set its new address")
    return Answer(status, f"answered {status}")
