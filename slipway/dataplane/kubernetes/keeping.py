"""What stands around revisions on a cluster: namespaces with their bounds, gateways with their edge.

Belongs here: bringing a set of objects that no revision owns to what is wanted, and telling what differs.
Does not: what they look like (slipway.runtimes), revisions (kubernetes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.dataplane.kubernetes.objects import plan as planning
from slipway.dataplane.kubernetes.objects.apply import Applier
from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
from slipway.dataplane.kubernetes.objects.prune import is_ours
from slipway.runtimes.judging.objects import Object, Ref, ref_of

_AT_ONCE = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where objects may be left over: a kind in a namespace, by labels.

    `is_other`: a namespace that nothing wanted is in, so that Slipway may have no rights there.
    """

    api_version: str
    kind: str
    namespace: str
    labels: str
    is_other: bool = False


@dataclass(frozen=True)
class Wanted:
    """Objects by name, in the order of applying, and places of those that are not wanted any more.

    What is found there and neither wanted nor to `keep` goes, if Slipway itself applied it.
    """

    objects: Sequence[Object]
    leftovers: Sequence[Place] = ()
    keep: Callable[[Object], bool] = field(default=lambda _: False)


class Keeper:
    """Brings objects to what is wanted; what is so already is not touched."""

    def __init__(self, api: KubernetesApi, applier: Applier) -> None:
        self._api = api
        self._applier = applier

    def plans(self, wanted: Wanted, *, confirmed: bool = False) -> tuple[ObjectPlan, ...]:
        """What would happen to each object; with `confirmed` also what only a server-side dry run knows.

        Raises DataPlaneError, for what would be refused.
        """
        plans = planning.plan(wanted.objects, self._found(wanted))
        return self._confirmed(plans, _by_ref(wanted.objects)) if confirmed else plans

    def bring(self, wanted: Wanted, say: Say) -> tuple[ObjectPlan, ...]:
        """Make it so, and return what was done. A dry run of all comes first. Raises DataPlaneError."""
        plans = self.plans(wanted, confirmed=True)
        self._applier.carry_out(plans, _by_ref(wanted.objects), say)
        return tuple(each for each in plans if each.action != "none")

    def _confirmed(self, plans: Sequence[ObjectPlan], wanted: Mapping[Ref, Object]) -> tuple[ObjectPlan, ...]:
        """By a dry run of each, but for what lies in a namespace that is not there yet."""
        made = {each.ref.name for each in plans if each.ref.kind == "Namespace" and each.action == "create"}
        ready = [each for each in plans if each.ref.namespace not in made]
        confirmed = {each.ref: each for each in self._applier.confirmed(ready, wanted)}
        return tuple(confirmed.get(each.ref, each) for each in plans)

    def _found(self, wanted: Wanted) -> dict[Ref, Object]:
        """What is there of the wanted ones, and what is left over; an object of somebody else is not ours."""
        refs = [ref_of(each) for each in wanted.objects]
        listed = [each for each in wanted.leftovers if self._api.serves(each.api_version, each.kind)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(self._api.get, refs)
            lists = pool.map(self._listed, listed)
            found = [each for each in asked if each is not None]
            left = [each for some in lists for each in some if not wanted.keep(each)]
        return {ref_of(each): each for each in (*left, *found) if is_ours(each)}

    def _listed(self, place: Place) -> tuple[Object, ...]:
        try:
            return self._api.list(place.api_version, place.kind, place.namespace, labels=place.labels).objects
        except ForbiddenError:
            if place.is_other:
                return ()
            raise


def _by_ref(objects: Sequence[Object]) -> dict[Ref, Object]:
    return {ref_of(each): each for each in objects}
