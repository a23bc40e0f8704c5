"""KubeAI's resource profiles, as far as their names tell: what runs there, and how many cards.

Belongs here: reading `<profile>:<multiple>`. Does not: which profiles a KubeAI has (its configuration).
Names: `resourceProfiles` in charts/kubeai/values.yaml of kubeai-project/kubeai, and values-gke.yaml's TPUs.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.catalog.fields import Accelerator

Profile = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_.]*(:[1-9]\d{0,3})?$")]

_BEGINNINGS: tuple[tuple[str, Accelerator], ...] = (
    ("nvidia", "nvidia"),
    ("amd", "amd"),
    ("intel", "intel"),
    ("google-tpu", "tpu"),
    ("tpu", "tpu"),
    ("cpu", "cpu"),
)


def accelerator(profile: str) -> Accelerator | None:
    """What a profile's engines run on; None where its name does not say."""
    name = profile.lower()
    return next((kind for beginning, kind in _BEGINNINGS if name.startswith(beginning)), None)


def cards(profile: str | None, said: Accelerator | None = None) -> int | None:
    """Cards of a profile, where it is of any; `said` is what it runs on, where that is written."""
    kind = said or (accelerator(profile) if profile is not None else None)
    return None if profile is None or kind in (None, "cpu") else multiple(profile)


def multiple(profile: str) -> int:
    """How often the profile is taken: cards, as KubeAI's own have one each."""
    return int(profile.partition(":")[2] or 1)
