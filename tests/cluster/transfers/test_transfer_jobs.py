"""`Settings.transfer_executor: kubernetes`: each transfer is a Kubernetes job, and publishes there."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository

from assets import keys
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.safetensors import PREFIX_BYTES
from slipway.objectstore import ObjectStore
from testbed.cluster.objects import Objects

REPOSITORY = Path(__file__).parents[3]
BODY = bytes(range(256)) * 4096 * 12  # 12 MiB: more than one part


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that this process and the pods see under one path: instance, catalog and source."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(BODY), len(BODY))
    source = tmp_path / "source"
    source.mkdir()
    content = len(header).to_bytes(PREFIX_BYTES, "little") + header + BODY
    (source / "model.safetensors").write_bytes(content)
    (tmp_path / "catalog").mkdir()
    documents = [
        ("Settings", "default", {"transfer_executor": "kubernetes"}),
        ("Model", "smollm2", {"source": f"file://{source}"}),
    ]
    # A module of its own: that of pipelines.definitions may be in this process, for another catalog.
    (tmp_path / "location.py").write_text(
        "from pathlib import Path\n\nfrom pipelines.definitions import build_definitions\n\n"
        f"defs = build_definitions(Path({str(tmp_path / 'catalog')!r}))\n"
    )
    text = yaml.safe_dump_all({"kind": k, "name": n, "spec": s} for k, n, s in documents)
    (tmp_path / "catalog" / "catalog.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def variables(shared: Path, pod_store: ObjectStore) -> dict[str, str]:
    """What a step needs of the environment, secrets apart."""
    return {
        "SLIPWAY_CATALOG": str(shared / "catalog"),
        "SLIPWAY_HOME": str(shared / "home"),
        "SLIPWAY_S3_ENDPOINT": pod_store.location.endpoint_url,
        "SLIPWAY_S3_BUCKET": pod_store.location.bucket,
        "DAGSTER_HOME": str(shared / "dagster"),
        "PYTHONPATH": str(REPOSITORY),
    }


@pytest.fixture
def secret(objects: Objects, namespace: str, pod_store: ObjectStore) -> str:
    location = pod_store.location
    held = {"SLIPWAY_S3_ACCESS_KEY": location.access_key, "SLIPWAY_S3_SECRET_KEY": location.secret_key}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "transfers"}, "stringData": held}
    objects.apply([made], namespace)
    return "transfers"


@pytest.fixture
def instance(
    objects: Objects, namespace: str, kubeconfig: Path, engine_image: str, shared: Path, secret: str
) -> Iterator[dg.DagsterInstance]:
    """Dagster with its launcher for Kubernetes, from which the executor takes its settings."""
    home = shared / "dagster"
    home.mkdir()
    launcher = {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "job_namespace": namespace,
            "job_image": engine_image,
            "service_account_name": "default",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
            "dagster_home": str(home),
            "instance_config_map": "dagster-instance",
            "env_secrets": [secret],
            "volumes": [{"name": "shared", "hostPath": {"path": str(shared)}}],
            "volume_mounts": [{"name": "shared", "mountPath": str(shared)}],
            # SQLite's files are root's here; a real instance is in PostgreSQL.
            "security_context": {"runAsUser": 0},
        },
    }
    text = yaml.safe_dump({"telemetry": {"enabled": False}, "run_launcher": launcher})
    (home / "dagster.yaml").write_text(text)
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dagster-instance"},
        "data": {"dagster.yaml": text},
    }
    objects.apply([config_map], namespace)
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], pod_store: ObjectStore) -> None:
    """The same for the process of the run."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIPWAY_S3_ACCESS_KEY", pod_store.location.access_key)
    monkeypatch.setenv("SLIPWAY_S3_SECRET_KEY", pod_store.location.secret_key)


@pytest.fixture
def result(
    environment: None, instance: dg.DagsterInstance, shared: Path, variables: dict[str, str]
) -> Iterator[dg.JobExecutionResult]:
    """Of one run of the job `deploy` over the model's weights alone."""
    repository = ReconstructableRepository.for_file(str(shared / "location.py"), "defs", str(REPOSITORY))
    job = repository.get_reconstructable_job("deploy")
    config = {"execution": {"config": {"env_vars": [f"{name}={each}" for name, each in variables.items()]}}}
    selection = [keys.weights("smollm2")]
    with dg.execute_job(job, instance, run_config=config, asset_selection=selection) as ran:
        yield ran


def test_weights_are_pulled_by_a_job_of_their_own_and_published(
    result: dg.JobExecutionResult, objects: Objects, namespace: str, pod_store: ObjectStore
) -> None:
    assert result.success, [each.message for each in result.all_events if each.is_failure]
    ops = sorted(
        each["metadata"]["labels"]["dagster/op"] for each in objects.list("batch/v1", "Job", namespace)
    )
    assert ops == ["weights__smollm2", "weights__smollm2_verified"]
    pods = objects.list("v1", "Pod", namespace)
    [transfer] = [pod for pod in pods if pod["metadata"]["labels"]["dagster/op"] == "weights__smollm2"]
    [container] = transfer["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}

    [materialized] = result.get_asset_materialization_events()
    metadata = materialized.materialization.metadata
    commit = str(metadata["commit"].value)
    manifest = Manifest.read(pod_store, "smollm2", commit)
    assert manifest is not None
    [file] = manifest.files
    stored = pod_store.get(f"weights/smollm2/{commit}/{file.path}")
    assert stored is not None and stored.endswith(BODY)
