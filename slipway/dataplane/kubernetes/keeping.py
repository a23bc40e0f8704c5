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
class WantedParts:
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

    def plans(self, wanted: WantedParts, *, confirmed: bool = False) -> tuple[ObjectPlan, ...]:
        """What would happen to each object; with `confirmed` also what only a server-side dry run knows.

        Raises DataPlaneError, for what would be refused.
        """
        plans = planning.plan(wanted.objects, self._found(wanted))
        return self._confirmed(plans, _by_ref(wanted.objects)) if confirmed else plans

    def bring(self, wanted: WantedParts, say: Say) -> tuple[ObjectPlan, ...]:
        """Make it so, and return what was done. A dry run of all comes first. Raises DataPlaneError."""
        plans = self.plans(wanted, confirmed=True)
        self._applier.carry_out(plans, _by_ref(wanted.objects), say)
        return tuple(plan for plan in plans if plan.action != "none")

    def _confirmed(self, plans: Sequence[ObjectPlan], wanted: Mapping[Ref, Object]) -> tuple[ObjectPlan, ...]:
        """By a dry run of each, but for what lies in a namespace that is not there yet."""
        made = {plan.ref.name for plan in plans if plan.ref.kind == "Namespace" and plan.action == "create"}
        ready = [plan for plan in plans if plan.ref.namespace not in made]
        confirmed = {plan.ref: plan for plan in self._applier.confirmed(ready, wanted)}
        return tuple(confirmed.get(plan.ref, plan) for plan in plans)

    def _found(self, wanted: WantedParts) -> dict[Ref, Object]:
        """What is there of the wanted ones, and what is left over; an object of somebody else is not ours."""
        refs = [ref_of(obj) for obj in wanted.objects]
        listed = [place for place in wanted.leftovers if self._api.serves(place.api_version, place.kind)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(self._api.get, refs)
            lists = pool.map(self._listed, listed)
            present = [obj for obj in asked if obj is not None]
            left = [obj for some in lists for obj in some if not wanted.keep(obj)]
        return {ref_of(obj): obj for obj in (*left, *present) if is_ours(obj)}

    def _listed(self, place: Place) -> tuple[Object, ...]:
        try:
            return self._api.list(place.api_version, place.kind, place.namespace, labels=place.labels).objects
        except ForbiddenError:
            if place.is_other:
                return ()
            raise


def _by_ref(objects: Sequence[Object]) -> dict[Ref, Object]:
    return {ref_of(each): each for each in objects}
