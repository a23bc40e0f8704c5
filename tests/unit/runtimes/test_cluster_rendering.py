"""What surrounds deployments: namespaces, the edge, the gateway, shared cards, rights."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from slipway.catalog import Deployment, Endpoint, ResolvedDeployment
from slipway.catalog.documents import AddressPool, Tls
from slipway.environment import Environment
from slipway.gateway.settings import GatewaySettings
from slipway.runtimes.cluster import edge, gateway, gpu_sharing, namespaces, rbac
from slipway.runtimes.rendering import gpu
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods, RenderError
from slipway.runtimes.rendering.rendered import Object
from slipway.runtimes.vllm import render as vllm

Problems = Callable[[Object], list[str]]


def deployment(name: str = "chat", **fields: Any) -> Deployment:
    return Deployment.model_validate({"name": name, "model": "m", "runtime": "vllm", "engine": "e", **fields})


def public(**fields: Any) -> Endpoint:
    return Endpoint(name="api", host="api.example.com", **fields)


def of_kind(objects: list[Object], kind: str) -> Object:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


class TestNamespaces:
    def test_each_isolation_class_is_restricted_and_denies_by_default(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        made = namespaces.objects(
            [deployment(), deployment("b", isolation={"namespace": "tenant-a"})], cluster
        )
        assert [problem for each in made for problem in problems_of(each)] == []
        found = {each["metadata"]["name"]: each for each in made if each["kind"] == "Namespace"}
        assert found.keys() == {"slipway", "tenant-a"}
        for each in found.values():
            assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        denied = [each["spec"] for each in made if each["kind"] == "NetworkPolicy"]
        nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
        assert denied == [nothing, nothing]

    def test_an_operator_whose_pods_are_not_restricted_gets_a_namespace_that_takes_them(
        self, cluster: ClusterSettings
    ) -> None:
        made = namespaces.objects([deployment(runtime="nim")], cluster)
        labels = of_kind(made, "Namespace")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
        assert labels["pod-security.kubernetes.io/warn"] == "restricted"

    def test_one_quota_holds_the_most_that_a_deployment_of_the_namespace_states(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        stated = [{"cpu": 16, "memory": "64Gi"}, {"cpu": "32"}, None]
        members = [deployment(f"d{n}", isolation={"quota": quota}) for n, quota in enumerate(stated)]
        quota = of_kind(namespaces.objects(members, cluster), "ResourceQuota")
        assert problems_of(quota) == []
        assert quota["spec"]["hard"] == {"requests.cpu": "32", "requests.memory": "64Gi"}

    def test_kubeai_keeps_its_own(self, cluster: ClusterSettings) -> None:
        assert namespaces.objects([deployment(runtime="kubeai")], cluster) == []
        gateways = namespaces.objects([], cluster, also=["slipway-system"])
        assert gateways[0]["metadata"]["name"] == "slipway-system"


class TestEdge:
    FULL = {
        "tls": Tls(issuer="public-ca"),
        "address_pool": AddressPool(addresses=("203.0.113.10-203.0.113.12",)),
    }

    def test_the_api_server_accepts_every_object(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        served = [deployment(path="/llm"), deployment("b")]
        for endpoint in (public(**self.FULL), public(tls=Tls(secret="mine")), public()):
            for each in edge.objects(endpoint, served, cluster):
                assert problems_of(each) == []

    def test_only_the_api_is_reached_from_outside(self, cluster: ClusterSettings) -> None:
        """The gateway's own endpoints, /-/, take the operator's token; not even that is offered."""
        made = edge.objects(public(), [deployment(path="/llm")], cluster)
        rules = of_kind(made, "HTTPRoute")["spec"]["rules"]
        assert [each["matches"][0]["path"]["value"] for each in rules] == ["/v1", "/llm/v1"]
        assert {each["backendRefs"][0]["name"] for each in rules} == {"gateway-api"}
        assert "filters" not in rules[0]
        assert rules[1]["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] == "/v1"

    def test_https_on_443_with_a_certificate_of_an_issuer_or_a_named_secret(
        self, cluster: ClusterSettings
    ) -> None:
        made = edge.objects(public(**self.FULL), [], cluster)
        (listener,) = of_kind(made, "Gateway")["spec"]["listeners"]
        assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
        certificate = of_kind(made, "Certificate")["spec"]
        assert listener["tls"]["certificateRefs"] == [{"name": certificate["secretName"]}]
        assert certificate["dnsNames"] == ["api.example.com"]
        named = edge.objects(public(tls=Tls(secret="mine")), [], cluster)
        assert of_kind(named, "Gateway")["spec"]["listeners"][0]["tls"]["certificateRefs"] == [
            {"name": "mine"}
        ]
        assert "Certificate" not in {each["kind"] for each in named}

    def test_addresses_come_from_the_endpoints_own_pool(self, cluster: ClusterSettings) -> None:
        made = edge.objects(public(**self.FULL), [], cluster)
        pool = of_kind(made, "IPAddressPool")
        assert pool["spec"] == {"addresses": ["203.0.113.10-203.0.113.12"], "autoAssign": False}
        named = of_kind(made, "Gateway")["spec"]["infrastructure"]["annotations"]
        assert set(named.values()) == {pool["metadata"]["name"]}
        quiet = AddressPool(addresses=("203.0.113.0/28",), l2=False)
        without = edge.objects(public(address_pool=quiet), [], cluster)
        assert "L2Advertisement" not in {each["kind"] for each in without}

    def test_more_paths_than_one_route_may_have_become_several_routes(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        most, paths = 16, 40
        served = [deployment(f"d{n}", path=f"/p{n}") for n in range(paths)]
        made = edge.objects(public(), served, cluster)
        routes = [each for each in made if each["kind"] == "HTTPRoute"]
        assert [problems_of(each) for each in routes] == [[], [], []]
        assert all(len(each["spec"]["rules"]) <= most for each in routes)
        assert sum(len(each["spec"]["rules"]) for each in routes) == paths + 1

    def test_an_endpoint_offers_the_paths_of_its_own_deployments(self, cluster: ClusterSettings) -> None:
        served = [deployment(path="/llm"), deployment("b", path="/other")]
        made = edge.objects(public(deployments=("b",)), served, cluster)
        rules = of_kind(made, "HTTPRoute")["spec"]["rules"]
        assert [each["matches"][0]["path"]["value"] for each in rules] == ["/v1", "/other/v1"]


class TestGateway:
    def test_the_api_server_accepts_every_object(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        made = gateway.objects(public(gateway_replicas=3), cluster)
        assert [problem for each in made for problem in problems_of(each)] == []
        assert {each["kind"] for each in made} == {
            "ServiceAccount",
            "NetworkPolicy",
            "StatefulSet",
            "Service",
            "PodDisruptionBudget",
            "PodMonitor",
        }
        assert of_kind(made, "StatefulSet")["spec"]["replicas"] == 3

    def test_prometheus_alone_reaches_the_gateways_metrics_on_a_port_of_their_own(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        read = replace(cluster, prometheus=Pods("monitoring", {"app": "prometheus"}))
        monitor = of_kind(gateway.objects(public(), read), "PodMonitor")
        assert problems_of(monitor) == []
        (metrics,) = monitor["spec"]["podMetricsEndpoints"]
        assert (metrics["path"], metrics["port"]) == ("/metrics", "metrics")
        container = of_kind(gateway.objects(public(), read), "StatefulSet")["spec"]["template"]["spec"][
            "containers"
        ][0]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports["metrics"] != ports["http"]
        unread = replace(cluster, prometheus=None)
        for around, allowed in ((read, [{"app": "prometheus"}]), (unread, [])):
            rules = of_kind(gateway.objects(public(), around), "NetworkPolicy")["spec"]["ingress"]
            senders = [
                sender["podSelector"]["matchLabels"]
                for rule in rules
                if ports["metrics"] in [port["port"] for port in rule["ports"]]
                for sender in rule["from"]
            ]
            assert senders == allowed
        (service,) = of_kind(gateway.objects(public(), read), "Service")["spec"]["ports"]
        assert service["targetPort"] == "http"
        pods = of_kind(gateway.objects(public(), read), "StatefulSet")["spec"]["template"]
        assert monitor["spec"]["selector"]["matchLabels"] == pods["metadata"]["labels"]

    def test_the_pods_carry_the_digest_of_their_spec(self, cluster: ClusterSettings) -> None:
        def noted(around: ClusterSettings) -> str:
            pod = of_kind(gateway.objects(public(), around), "StatefulSet")["spec"]["template"]["metadata"]
            return str(pod["annotations"]["slipway.dev/spec-digest"])

        other = replace(cluster, slipway_image=f"registry.example/slipway@sha256:{'b' * 64}")
        assert noted(cluster) == noted(cluster) != noted(other)

    def test_the_gateway_understands_the_environment_that_it_is_given(self, cluster: ClusterSettings) -> None:
        pod = of_kind(gateway.objects(public(), cluster), "StatefulSet")["spec"]["template"]["spec"]
        kept = {"fieldRef": "gateway-api-0", "secretKeyRef": "sqlite:///db"}
        env = {
            each["name"]: each.get("value") or kept[next(iter(each["valueFrom"]))]
            for each in pod["containers"][0]["env"]
        }
        settings = GatewaySettings.load(Environment.load(env))
        assert (settings.host, settings.port) == ("0.0.0.0", gateway.PORT)
        assert settings.replica == "gateway-api-0"
        assert settings.s3.endpoint_url == cluster.store.endpoint_url
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        claims = of_kind(gateway.objects(public(), cluster), "StatefulSet")["spec"]["volumeClaimTemplates"]
        assert str(settings.spool_dir).startswith(f"{mounts[claims[0]['metadata']['name']]}/")
        unrouted_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert settings.drain_s < settings.stop_s == pod["terminationGracePeriodSeconds"] - unrouted_s

    def test_an_engines_policy_lets_this_gateway_in_and_the_gateways_lets_it_out(
        self, cluster: ClusterSettings, resolved: Callable[..., ResolvedDeployment]
    ) -> None:
        made = gateway.objects(public(), cluster)
        labels = of_kind(made, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
        assert cluster.gateway.labels.items() <= labels.items()
        assert of_kind(made, "StatefulSet")["metadata"]["namespace"] == cluster.gateway.namespace
        engine = vllm.render(resolved(), cluster)
        pod_labels = engine.objects[1]["spec"]["template"]["metadata"]["labels"]
        opened = of_kind(made, "NetworkPolicy")["spec"]["egress"]
        keys = [
            each["podSelector"]["matchExpressions"][0]["key"]
            for rule in opened
            for each in rule.get("to", [])
            if "matchExpressions" in each.get("podSelector", {})
        ]
        assert keys and all(key in pod_labels for key in keys)

    def test_only_the_edge_and_operators_reach_it_where_they_are_known(
        self, cluster: ClusterSettings
    ) -> None:
        known = replace(cluster, edge=Pods("envoy-gateway-system", {"app": "envoy"}))
        rule, _ = of_kind(gateway.objects(public(), known), "NetworkPolicy")["spec"]["ingress"]
        allowed = [
            each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in rule["from"]
        ]
        assert allowed == ["envoy-gateway-system"]
        open_rule, _ = of_kind(gateway.objects(public(), cluster), "NetworkPolicy")["spec"]["ingress"]
        assert "from" not in open_rule and open_rule["ports"] == [{"protocol": "TCP", "port": gateway.PORT}]

    def test_its_pods_have_no_token_and_its_account_no_rights(self, cluster: ClusterSettings) -> None:
        made = gateway.objects(public(), cluster)
        assert of_kind(made, "ServiceAccount")["automountServiceAccountToken"] is False
        pod = of_kind(made, "StatefulSet")["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True

    def test_without_an_image_it_is_not_rendered(self, cluster: ClusterSettings) -> None:
        with pytest.raises(RenderError, match="Slipway's own image"):
            gateway.objects(public(), replace(cluster, slipway_image=None))

    def test_usage_that_is_not_shipped_is_on_a_volume_that_survives_the_pod_and_its_removal(
        self, cluster: ClusterSettings
    ) -> None:
        spec = of_kind(gateway.objects(public(), cluster), "StatefulSet")["spec"]
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert claim["spec"]["resources"] == {"requests": {"storage": "10Gi"}}
        assert "storageClassName" not in claim["spec"]
        assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
        assert claim["metadata"]["name"] not in {each["name"] for each in spec["template"]["spec"]["volumes"]}

    def test_its_class_and_size_are_the_clusters(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        fast = replace(cluster, gateway_spool_class="fast", gateway_spool_size="50Gi")
        made = of_kind(gateway.objects(public(), fast), "StatefulSet")
        assert problems_of(made) == []
        (claim,) = made["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"


class TestSharedCards:
    def test_what_pods_ask_for_is_what_the_plugin_offers(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        ways = ("time-slicing", "mps")
        shared = [deployment(f"d{n}", resources={"gpu": {"sharing": way}}) for n, way in enumerate(ways)]
        config, policy = gpu_sharing.objects(shared, cluster)
        assert problems_of(policy) == problems_of(config) == []
        assert policy["spec"]["devicePlugin"]["config"]["name"] == config["metadata"]["name"]
        for each, way in zip(shared, ways, strict=True):
            (section,) = yaml.safe_load(config["data"][way])["sharing"].values()
            assert section["renameByDefault"] is True
            offered = section["resources"][0]["name"] + ".shared"
            assert gpu.amounts(each, cluster) == {offered: "1"}
            assert gpu.node_selector(each, cluster)[gpu.SHARING_LABEL] == way

    def test_whole_cards_need_no_policy_and_slices_are_named_by_profile(
        self, cluster: ClusterSettings, problems_of: Problems
    ) -> None:
        assert gpu_sharing.objects([deployment(resources={"gpu": {}})], cluster) == []
        sliced = deployment(resources={"gpu": {"mig_profile": "1g.10gb"}})
        (policy,) = gpu_sharing.objects([sliced], cluster)
        assert problems_of(policy) == []
        assert policy["spec"]["mig"] == {"strategy": "mixed"}


class TestRights:
    def test_the_api_server_accepts_the_roles(self, problems_of: Problems) -> None:
        assert problems_of(rbac.role("slipway", "slipway-s3")) == []
        assert problems_of(rbac.cluster_role()) == []
        assert [problem for each in rbac.shared_cards("gpu") for problem in problems_of(each)] == []

    def test_no_right_is_for_everything(self) -> None:
        for rule in (*rbac.role("a", "s")["rules"], *rbac.cluster_role()["rules"]):
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]

    def test_of_secrets_the_stores_alone_may_be_read(self) -> None:
        rules = [rule for rule in rbac.role("a", "slipway-s3")["rules"] if "secrets" in rule["resources"]]
        reading = [rule for rule in rules if {"get", "list", "watch"} & set(rule["verbs"])]
        assert [rule["resourceNames"] for rule in reading] == [["slipway-s3"]]
        assert not any("delete" in rule["verbs"] for rule in rules)
