"""A runtime is one room: a module and a line in the registry, and it is known wherever runtimes are."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from slipway.catalog import Catalog, Deployment, ResolvedDeployment, data_planes
from slipway.catalog.files import reference
from slipway.catalog.files.schema import json_schema
from slipway.catalog.problems import CatalogError
from slipway.catalog.runtimes import RUNTIMES, Runtime
from slipway.control.check import check_catalog
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import Owner
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.kubernetes.objects import plan, prune
from slipway.dataplane.planes.planes import Key, key_of
from slipway.runtimes import rules, table
from slipway.runtimes.cluster import namespaces, rbac, rights
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.judging.objects import Ref
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.samples import SAMPLES

from . import toy
from .fake_api import FakeApi

CATALOG = f"""\
kind: Model
name: tiny
spec: {{source: hf://org/tiny@{"0" * 40}, task: embedding}}
---
kind: Engine
name: small
spec: {{server: infinity, images: {{cpu: {{image: registry.example/toy, tag: v1}}}}}}
---
kind: Deployment
name: chat
spec:
  model: tiny
  runtime: toy
  engine: small
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNTIMES, "toy", Runtime(toy.__name__))


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def plane(api: FakeApi, cluster: ClusterSettings) -> Kubernetes:
    return Kubernetes(cast(KubernetesApi, api), cluster)


@pytest.fixture
def spec(resolved: Callable[..., ResolvedDeployment]) -> ResolvedDeployment:
    return resolved(runtime="toy", server="infinity", replicas=2)


@pytest.fixture
def ref(spec: ResolvedDeployment) -> Ref:
    return Ref(toy.API, "ToyServer", "slipway", spec.revision_name)


@pytest.fixture
def serving(api: FakeApi, plane: Kubernetes, spec: ResolvedDeployment, ref: Ref) -> Iterator[Ref]:
    """The revision as it was applied, and its operator has made two."""
    plane.apply(plane.render(spec))
    api.objects[ref]["status"] = {"observedGeneration": 1, "ready": 2}
    yield ref


def deployment(**fields: Any) -> Deployment:
    written = {"name": "chat", "model": "tiny", "engine": "small", "runtime": "toy", **fields}
    return Deployment.model_validate(written)


class TestTheCatalog:
    def check(self, directory: Path, old: str = "chat", new: str = "chat") -> list[str]:
        assert old in CATALOG
        (directory / "catalog.yaml").write_text(CATALOG.replace(old, new))
        try:
            check_catalog(directory)
        except CatalogError as error:
            return [str(each).split("catalog.yaml:")[1] for each in error.problems]
        return []

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("name: chat", f"name: {'c' * 21}", "too long for runtime toy. Use at most 20"),
            ("name: chat", "name: 1chat", "cannot begin with a digit"),
            (
                "server: infinity",
                "server: vllm",
                "runtime toy does not host server vllm. Choose an engine with ",
            ),
            ("images: {cpu", "images: {amd", "engine small has no image for cpu. Add images.cpu to it"),
            (
                "engine: small",
                "engine: small\n  adapters: [tone]",
                "adapters = tone: are for grown-ups. Remove them",
            ),
            ("runtime: toy", "runtime: doll", "dynamo or toy"),
        ],
    )
    def test_what_it_cannot_do_is_refused_in_its_name(
        self, tmp_path: Path, old: str, new: str, expected: str
    ) -> None:
        assert any(expected in each for each in self.check(tmp_path, old, new)), self.check(
            tmp_path, old, new
        )

    def test_what_it_can_do_is_accepted(self, tmp_path: Path) -> None:
        assert self.check(tmp_path) == []

    def test_it_is_offered_where_another_refuses(self) -> None:
        refused = rules.refused(deployment(runtime="vllm", resources={"gpu": {"fraction": 0.5}}), None)
        assert next(refused).runtimes == ("ray", "kuberay", "toy")

    def test_a_task_that_its_engine_does_not_do_names_those_that_do(self, tmp_path: Path) -> None:
        (refused,) = self.check(tmp_path, "task: embedding", "task: speech-to-text")
        assert (
            "its task is speech-to-text, and infinity on toy does embedding, rerank. Use ray with ctranslate2"
            in refused
        )

    def test_editors_and_pages_know_it(self) -> None:
        written = json_schema()["$defs"]["Deployment"]["properties"]["spec"]["properties"]["runtime"]
        assert written["enum"][-1] == "toy"
        assert "`dynamo`, `toy`" in reference.markdown()

    def test_every_field_is_honoured_or_refused_in_the_table(self) -> None:
        treated = {sample.title: table.treatment("toy", sample).kind for sample in SAMPLES}
        assert (treated["args"], treated["adapters"]) == ("honoured", "refused")
        assert "ignored" not in treated.values()
        assert "### Refused by `toy`\n\n- `adapters`: `adapters` are for grown-ups" in table.markdown()


class TestTheCluster:
    def test_it_goes_to_the_cluster_that_its_deployment_names(self) -> None:
        catalog = Catalog(deployments=(deployment(data_plane="west"),))
        assert data_planes.kubernetes(catalog) == ("west",)
        assert key_of("toy", "west") == Key("kubernetes", "west")

    def test_slipway_has_the_rights_to_what_it_makes(self) -> None:
        allowed = {
            (group, resource): set(rule["verbs"])
            for rule in rbac.role("slipway", "s3")["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        assert {"create", "delete"} <= allowed["toys.example", "toyservers"]
        assert {"create", "delete"} <= allowed["toys.example", "toycaches"]
        assert allowed["toys.example", "toyservers/scale"] == {"get", "patch"}
        assert allowed["toys.example", "toyboxes"] == {"get", "list", "watch"}

    def test_its_namespace_stands_its_pods_and_its_secret_tells_it_the_store(
        self, cluster: ClusterSettings
    ) -> None:
        catalog = Catalog(deployments=(deployment(isolation={"namespace": "nursery"}),))
        assert rights.namespaces(catalog, "default", cluster) == ("nursery", "slipway")
        made = namespaces.objects(catalog.deployments, cluster)[0]
        assert made["metadata"]["name"] == "nursery"
        assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
        secret = store_secret(cluster.store, "nursery", "a", "b")
        assert secret["metadata"]["annotations"]["toys.example/store"] == cluster.store.endpoint_url


class TestARevision:
    def test_it_is_planned_object_by_object(
        self, plane: Kubernetes, spec: ResolvedDeployment, api: FakeApi, ref: Ref
    ) -> None:
        difference = plane.diff(plane.render(spec))
        assert difference.action == "create"
        assert f"create {ref}" in difference.detail
        assert api.objects == {}

    def test_it_serves_when_its_own_judge_says_so(
        self, plane: Kubernetes, serving: Ref, api: FakeApi
    ) -> None:
        (live,) = plane.status("chat")
        assert (live.state, live.is_serving, live.replicas_ready) == ("serving", True, 2)
        assert live.upstream == f"http://{serving.name}.slipway.svc:80/v1"
        api.objects[serving]["status"] = {"ready": 2}
        assert plane.status("chat")[0].state == "waiting"

    def test_it_is_kept_at_zero_in_its_own_word_and_woken(
        self, plane: Kubernetes, serving: Ref, spec: ResolvedDeployment, api: FakeApi
    ) -> None:
        assert plane.park(frozenset({serving.name}), lambda _: None) == frozenset()
        assert api.objects[serving]["spec"]["size"] == 0
        assert plane.status("chat")[0].is_parked
        plane.wake(plane.render(spec))
        assert api.merged == [(serving, {"spec": {"replicas": 1}}, "scale")]

    def test_it_is_pruned_with_its_pods_before_what_they_mount(
        self, plane: Kubernetes, serving: Ref, api: FakeApi
    ) -> None:
        plane.delete(frozenset({serving.name}), lambda _: None)
        assert api.objects == {}
        kinds = [each.kind for each in api.deleted]
        assert kinds == ["ToyServer", "NetworkPolicy", "ToyCache"]

    def test_what_is_not_wanted_any_more_goes(
        self, plane: Kubernetes, serving: Ref, spec: ResolvedDeployment, api: FakeApi
    ) -> None:
        left = [each for each in plane.render(spec).rendered["objects"] if each["kind"] != "ToyCache"]
        assert [each.kind for each in prune.to_prune(left, api.objects)] == ["ToyCache"]

    def test_what_its_operator_fills_in_is_taken_back(self) -> None:
        assert plan.may_take("ToyServer", Owner("toy-operator", ".spec.colour"), is_autoscaled=False)
        assert not plan.may_take("ToyServer", Owner("toy-operator", ".spec.size"), is_autoscaled=False)
