"""The running cluster, and what a test needs of it; everything that a fixture made goes with it.

Belongs here: fixtures. Does not: the cluster itself (testbed/cluster), the build before the first test
(building.py), what runs beside what (tiers.py).
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.artifacts.weights.manifest import Manifest
from slipway.objectstore import ObjectStore
from testbed.cluster import addons, debian, fake_prometheus, images, namespaces, processes, roles, weights
from testbed.cluster import cluster as test_cluster
from testbed.cluster import crds as crd_files
from testbed.cluster.cluster import Running
from testbed.cluster.layout import NODE, Layout
from testbed.cluster.objects import Object, Objects, client
from testbed.cluster.operators import OPERATORS

from . import building, tiers


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tiers, processes and order of this folder's tests."""
    tiers.arrange(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> tiers.ByGroup:
    """What must run in one process does."""
    return tiers.ByGroup(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test begins, so that no test's time limit is spent on compiling."""
    building.build_for(session)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The cluster: one that `make cluster-up` made, or one of this session's that goes with it."""
    with test_cluster.use(Layout.default(), building.said_past_capture(request.config)) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(cluster: Running) -> Path:
    """The administrator's client configuration."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> ApiClient:
    """The `kubernetes` package's client, as administrator."""
    return client(kubeconfig)


@pytest.fixture(scope="session")
def objects(api: ApiClient) -> Objects:
    """Apply, get, list and delete of any kind, as administrator."""
    return Objects(api)


@pytest.fixture(scope="session")
def make_namespace(cluster: Running, objects: Objects) -> Iterator[Callable[..., str]]:
    """`make_namespace()` makes one more; all are gone when the session ends, whatever finalizers are in them.

    Labels may be given, such as those of Pod Security.
    """
    made: list[str] = []

    def make(labels: dict[str, str] | None = None) -> str:
        name = f"t-{uuid.uuid4().hex[:8]}"
        made.append(name)
        namespaces.create(objects, name, labels or {})
        return name

    yield make
    for name in made:
        namespaces.delete(objects, name)
    if cluster.kept:
        namespaces.wait_until_gone(objects, made)


@pytest.fixture
def namespace(objects: Objects, make_namespace: Callable[..., str]) -> Iterator[str]:
    """A new namespace with its `default` ServiceAccount; its pods end with the test."""
    name = make_namespace()
    yield name
    namespaces.delete(objects, name)


@pytest.fixture(scope="session")
def crds(objects: Objects) -> Callable[..., None]:
    """`crds("kubeai.org_models", ...)` installs these definitions and waits until they are served.

    Names are files of testbed/crds without their ending. They stay as long as the cluster: installing costs
    seconds, and each makes the API server larger, so ask for no more than needed.
    """
    installed: set[str] = set()

    def install(*names: str) -> None:
        crd_files.install(objects, [name for name in names if name not in installed])
        installed.update(names)

    return install


@pytest.fixture
def as_role(objects: Objects, namespace: str, kubeconfig: Path) -> Callable[..., ApiClient]:
    """`as_role(rules, cluster_rules=())`: a client of a new ServiceAccount that may do just this.

    `rules` hold in the test's namespace, `cluster_rules` everywhere; both as in a Role's `rules`.
    """

    def make(rules: list[Object], cluster_rules: list[Object] | tuple[()] = ()) -> ApiClient:
        return roles.client_of(objects, namespace, kubeconfig, rules, list(cluster_rules))

    return make


@pytest.fixture
def gpu_node(objects: Objects) -> Iterator[Callable[..., str]]:
    """`gpu_node(4, "nvidia.com/gpu")` gives the real node fake GPUs and returns its name; gone afterwards.

    The scheduler and the kubelet count them, and no pod finds a device.
    """
    given: set[str] = set()

    def give(count: int, resource: str = "nvidia.com/gpu") -> str:
        given.add(resource)
        addons.set_fake_gpus(objects, resource, count)
        return NODE

    yield give
    for resource in given:
        addons.set_fake_gpus(objects, resource, None)


@pytest.fixture
def local_volumes(objects: Objects, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`local_volumes(2)` makes that many volumes of this machine's disk; the name of their StorageClass.

    Nothing else provides volumes here: a claim, also of a generic ephemeral volume, takes one of them.
    """
    made: list[Object] = []

    def make(count: int, storage_class: str | None = None, size: str = "10Gi") -> str:
        name = storage_class or f"local-{uuid.uuid4().hex[:6]}"
        made.extend(addons.local_storage(name, tmp_path, count, size))
        objects.apply(made)
        return name

    yield make
    for each in reversed(made):
        objects.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


@pytest.fixture
def stand_in(cluster: Running) -> Callable[[str], str]:
    """`stand_in("vllm/vllm-openai:v0.12.0")` makes an image of this environment under an engine's name.

    The pods' namespace needs the label `slipway.test/host-files`, or nothing is in the image.
    """

    def name(reference: str) -> str:
        programs = debian.node_programs(cluster.layout)
        images.ensure(cluster.layout, programs, {reference: images.of_environment(reference)})
        return reference

    return name


@pytest.fixture
def without(cluster: Running) -> Callable[..., AbstractContextManager[None]]:
    """`with without("kube-apiserver"):` takes processes of the cluster away and brings them back.

    Others are `etcd`, `kube-controller-manager`, `kube-scheduler`, `kubelet` and `kube-proxy`.
    """

    @contextmanager
    def away(*names: str) -> Iterator[None]:
        processes.stop(cluster.layout, names)
        try:
            yield
        finally:
            test_cluster.up(cluster.layout, print, kept=False)

    return away


@pytest.fixture(scope="session")
def fake_nodes(cluster: Running, objects: Objects) -> list[str]:
    """Two fake nodes, whose pods are Ready at once and not real; they stay as long as the cluster.

    Only pods with the toleration `kwok.x-k8s.io/node` are put there; `type: kwok` selects them. Nodes that
    come and go would not do: the controllers try again after seconds when they do not know one yet.
    """
    names = ["fake-0", "fake-1"]
    addons.make_fake_nodes(cluster.layout, cluster.ports, objects, [addons.fake_node(name) for name in names])
    return names


@pytest.fixture
def kwok_nodes(cluster: Running, objects: Objects) -> Iterator[Callable[..., list[str]]]:
    """`kwok_nodes(50, {"type": "mine"})` makes fake nodes with these labels; they go with the test."""
    made: list[str] = []

    def make(count: int, labels: dict[str, str]) -> list[str]:
        names = [f"fake-{uuid.uuid4().hex[:6]}-{number}" for number in range(count)]
        made.extend(names)
        nodes = [addons.fake_node(name, labels=labels) for name in names]
        addons.make_fake_nodes(cluster.layout, cluster.ports, objects, nodes)
        return names

    yield make
    for name in made:
        objects.delete("v1", "Node", name)


@pytest.fixture(scope="session")
def keda(cluster: Running, objects: Objects) -> None:
    """KEDA's operator and metrics adapter, with its definitions."""
    OPERATORS["keda"].start(cluster, objects)


@pytest.fixture(scope="session")
def metrics_server(cluster: Running, objects: Objects) -> None:
    """What pods of the real node use of CPU and memory, every ten seconds."""
    OPERATORS["metrics_server"].start(cluster, objects)


@pytest.fixture
def prometheus(cluster: Running) -> Iterator[fake_prometheus.FakePrometheus]:
    """Says of every query what a test wants it to."""
    with fake_prometheus.serving() as server:
        yield server


@pytest.fixture(scope="session")
def cert_manager(cluster: Running, objects: Objects) -> None:
    """cert-manager's controllers for self-signed and CA issuers, with its definitions."""
    OPERATORS["cert_manager"].start(cluster, objects)


@pytest.fixture(scope="session")
def metallb(cluster: Running, objects: Objects) -> None:
    """MetalLB's controller, which assigns addresses; nothing announces them."""
    OPERATORS["metallb"].start(cluster, objects)


@pytest.fixture(scope="session")
def envoy_gateway(cluster: Running, objects: Objects) -> None:
    """Envoy Gateway's controller and the Gateway API's definitions; there is no Envoy behind it."""
    OPERATORS["envoy_gateway"].start(cluster, objects)


@pytest.fixture(scope="session")
def engine_image(cluster: Running) -> str:
    """An image by digest whose pods have this virtual environment and this checkout's code, as user 10001.

    `python -m slipway.engines.standalone` in it is the real llama.cpp engine.
    """
    return cluster.images["venv/engine"].reference


@pytest.fixture(scope="session")
def gateway_image(cluster: Running) -> str:
    """The same under another name: `python -m slipway.gateway` in it is the real gateway."""
    return cluster.images["venv/gateway"].reference


@pytest.fixture(scope="session")
def pod_store(cluster: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 whose address holds in pods and in this process, with the bucket `slipway`."""
    with weights.store(tmp_path_factory.mktemp("pod-store")) as store:
        yield store


@pytest.fixture(scope="session")
def demo_weights(pod_store: ObjectStore) -> Manifest:
    """The demo's model, published in `pod_store`: 145 MB that a pod fetches in about a second."""
    return weights.publish_demo_model(pod_store)


@pytest.fixture
def store_secret(objects: Objects, namespace: str, pod_store: ObjectStore) -> str:
    """Name of a Secret in the test's namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    location = pod_store.location
    keys = {"AWS_ACCESS_KEY_ID": location.access_key, "AWS_SECRET_ACCESS_KEY": location.secret_key}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slipway-s3"}, "stringData": keys}
    objects.apply([secret], namespace)
    return "slipway-s3"
