"""The fit check from published weights, as `slipway plan` reads them from a real store."""

import json
from datetime import UTC, datetime
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.catalog import Catalog, Deployment, Engine, Model
from slipway.control.fit import known_weights
from slipway.control.fit import models as fitting
from slipway.control.fit.known_weights import KnownWeights
from slipway.objectstore import ObjectStore

COMMIT = "1" * 40
GIB = 2**30
CONFIG = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 64,
    "max_position_embeddings": 1024,
}
CATALOG = Catalog(
    models=(Model(name="big", source=f"hf://org/big@{COMMIT}"),),
    engines=(Engine(name="e", server="vllm"),),
    deployments=(
        Deployment.model_validate(
            {
                "name": "chat",
                "model": "big",
                "runtime": "vllm",
                "engine": "e",
                "resources": {"gpu": {"memory": "16Gi"}},
            }
        ),
    ),
)


def test_published_weights_are_judged_by_their_manifest_and_then_known_offline(
    store: ObjectStore, tmp_path: Path
) -> None:
    def known(model: Model) -> KnownWeights | None:
        return known_weights.in_store(store, model.name, COMMIT)

    assert list(fitting.refusals(CATALOG, known)) == []  # not published: nothing is claimed
    files = (
        ManifestFile(path="config.json", size_bytes=1, sha256="0" * 64),
        ManifestFile(path="model.safetensors", size_bytes=20 * GIB, sha256="0" * 64),
    )
    source = CATALOG.models[0].source
    manifest = Manifest(name="big", source=source, commit=COMMIT, created_at=datetime.now(UTC), files=files)
    store.put(f"{manifest.prefix}config.json", json.dumps(CONFIG).encode())
    assert manifest.publish(store)

    ((name, message),) = fitting.refusals(CATALOG, fitting.keeping(tmp_path, known))
    assert name == "chat"
    assert message.startswith("big cannot fit: (weights 20.0 GiB + KV cache 1024 tokens")
    kept = known_weights.offline(CATALOG.models[0], tmp_path)
    assert kept == KnownWeights(20 * GIB, CONFIG)
