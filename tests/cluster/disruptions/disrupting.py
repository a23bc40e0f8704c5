"""How a rollout is made to go wrong: each way a context in which the second revision is rolled out.

Belongs here: bringing trouble about, and taking it away again. Does not: what is told of it (cases.py).
"""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from kubernetes.client.exceptions import ApiException

from slipway.runtimes.cluster import rbac
from testbed.cluster import roles, second_node
from testbed.cluster.objects import Object, eventually

from ..isolation.test_rights_in_use import without
from .site import Change, Site
from .unhelpful_servers import certified, registry, webhook

# What a case changes in the second revision's data plane: arguments of Site.plane.
Changes = Mapping[str, Any]
Disrupt = Callable[[Site], AbstractContextManager[Changes]]
_ADMISSION = "admissionregistration.k8s.io/v1"
_IMPATIENT_S = 1.0
# A readiness probe that nobody answers.
DEAF = {"httpGet": {"path": "/", "port": 9}, "periodSeconds": 1}
ZEROS = f"sha256:{'0' * 64}"


def changed(**changes: Any) -> Disrupt:
    """The second revision itself is bad."""

    @contextmanager
    def disrupt(site: Site) -> Iterator[Changes]:
        yield changes

    return disrupt


def adding(obj: Object) -> Change:
    """One more object in the revision."""
    return lambda objects: [*objects, {**obj, "metadata": {**objects[-1]["metadata"], "name": "more"}}]


def workload_with(edit: Callable[[Object], None]) -> Change:
    """The revision with its Deployment edited."""

    def change(objects: list[Object]) -> list[Object]:
        made: list[Object] = json.loads(json.dumps(objects))
        edit(next(each for each in made if each["kind"] == "Deployment"))
        return made

    return change


@contextmanager
def no_namespace(site: Site) -> Iterator[Changes]:
    """The second revision belongs where nothing is."""
    yield {"namespace": f"{site.namespace}-nowhere"}


def quota(resource: str) -> Disrupt:
    """A quota that the first revision uses up."""

    @contextmanager
    def disrupt(site: Site) -> Iterator[Changes]:
        body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}}
        site.objects.apply([{**body, "spec": {"hard": {resource: "1"}}}], site.namespace)

        def is_counted() -> bool:
            found = site.objects.get("v1", "ResourceQuota", "team", site.namespace) or {}
            return bool(found["status"].get("used", {}).get(resource) == "1")

        eventually(is_counted, "the quota is counted")
        yield {}

    return disrupt


@contextmanager
def refusing_webhook(site: Site) -> Iterator[Changes]:
    """A real admission webhook that denies Deployments in the namespace."""
    with webhook(site.cluster.layout, "no GPUs on Fridays") as url, configured(site, url):
        yield {}


@contextmanager
def absent_webhook(site: Site) -> Iterator[Changes]:
    """One that nobody serves any more."""
    with webhook(site.cluster.layout, "") as url:
        pass
    with configured(site, url):
        yield {}


@contextmanager
def configured(site: Site, url: str) -> Iterator[None]:
    """The API server asks the webhook about this namespace's Deployments, and holds to what it says."""
    certificate = (site.cluster.layout.pki / "ca.crt").read_bytes()
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    asked = {
        "name": "policy.team.example",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(certificate).decode()},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "failurePolicy": "Fail",
    }
    kind, name = "ValidatingWebhookConfiguration", f"{site.namespace}-policy"
    made = {"apiVersion": _ADMISSION, "kind": kind, "metadata": {"name": name}, "webhooks": [asked]}
    site.objects.apply([made])
    try:
        eventually(lambda: is_refused(site), "the API server asks the webhook")
        yield
    finally:
        site.objects.delete(_ADMISSION, kind, name)


def is_refused(site: Site) -> bool:
    """Whether a Deployment cannot be made here; nothing is made."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = site.objects.path("apps/v1", "Deployment", site.namespace)
    try:
        site.objects.call("POST", path, {"metadata": {"name": "probe"}, "spec": spec}, dryRun="All")
    except ApiException as error:
        return "policy.team.example" in str(error.body)
    return False


@contextmanager
def foreign_object(site: Site) -> Iterator[Changes]:
    """Somebody has a Service of the name that the second revision needs."""
    name = site.plane().render(site.resolved(2)).application
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}
    site.objects.apply([{**service, "spec": {"ports": [{"port": 80}]}}], site.namespace)
    yield {}


@contextmanager
def foreign_field(site: Site) -> Iterator[Changes]:
    """Another system has set the replicas of the workload that both revisions are."""
    body = {"metadata": {"name": site.name}, "spec": {"replicas": 1}, "apiVersion": "apps/v1"}
    path = site.objects.path("apps/v1", "Deployment", site.namespace, site.name)
    body["kind"] = "Deployment"
    site.objects.call("PATCH", path, body, fieldManager="argocd-controller", force="true")
    yield {"change": with_replicas(2)}


def with_replicas(count: int) -> Change:
    """The revision wants another number of replicas."""

    return workload_with(lambda found: found["spec"].update(replicas=count))


@contextmanager
def one_verb_less(site: Site) -> Iterator[Changes]:
    """Slipway's own account, without the right to make Deployments."""
    rules = without(rbac.role(site.namespace, "slipway-s3")["rules"], "create", "deployments")
    everywhere = rbac.cluster_role()["rules"]
    yield {"api": roles.client_of(site.objects, site.namespace, site.kubeconfig, rules, everywhere)}


@contextmanager
def empty_registry(site: Site) -> Iterator[Changes]:
    """The registry has no such image."""
    with registry() as address:
        yield {"container": {"image": f"{address}/team/engine@{ZEROS}"}}


@contextmanager
def untrusted_registry(site: Site) -> Iterator[Changes]:
    """The registry's certificate is of a CA that containerd does not know."""
    with registry(tls=certified(site.cluster.layout)) as address:
        yield {"container": {"image": f"{address}/team/engine@{ZEROS}"}}


@contextmanager
def wrong_pull_secret(site: Site) -> Iterator[Changes]:
    """The registry does not know the account of the pull secret."""
    with registry(has_account=True) as address:
        account = {"auths": {address: {"username": "slipway", "password": "wrong"}}}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
        keys = {"stringData": {".dockerconfigjson": json.dumps(account)}}
        site.objects.apply([{**secret, "metadata": {"name": "registry"}, **keys}], site.namespace)
        image = f"{address}/team/engine@{ZEROS}"
        yield {"container": {"image": image}, "pull_secrets": ("registry",)}


@contextmanager
def lost_node(site: Site) -> Iterator[Changes]:
    """The second revision's node ends as if its power failed, while the engine there is not ready yet."""

    def lose() -> None:
        eventually(lambda: any(map(is_started, second_node.pods(site.objects, site.namespace))), "it runs")
        second_node.lose(site.cluster.layout)

    on_second = workload_with(lambda found: found["spec"]["template"]["spec"].update(second_node.PLACEMENT))
    second_node.start(site.cluster.layout, site.cluster.ports, site.objects)
    try:
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(lose)
            unready = {"readinessProbe": DEAF}
            yield {"change": on_second, "container": unready, "gone_deadline_s": _IMPATIENT_S}
            lost.result()
    finally:
        second_node.remove(site.cluster.layout, site.objects)


def is_started(pod: Object) -> bool:
    """Whether its first container runs."""
    return any("running" in each["state"] for each in pod["status"].get("containerStatuses") or [])


@contextmanager
def endless_finalizer(site: Site) -> Iterator[Changes]:
    """The second revision is bad, and something holds its workload when it is taken away."""

    change = workload_with(lambda found: found["metadata"].update(finalizers=["example.com/never"]))
    yield {"container": {"image": "no such image"}, "change": change, "gone_deadline_s": _IMPATIENT_S}
    with contextlib.suppress(StopIteration):
        held = next(each for each in _deployments(site) if each["metadata"].get("finalizers"))
        path = site.objects.path("apps/v1", "Deployment", site.namespace, held["metadata"]["name"])
        held["metadata"]["finalizers"] = []
        site.objects.call("PUT", path, held)


def _deployments(site: Site) -> list[Object]:
    return site.objects.list("apps/v1", "Deployment", site.namespace)
