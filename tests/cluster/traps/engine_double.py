"""A double of what an operator puts in front of engines: it answers under the names that the operator gives.

Belongs here: those names, read off the custom resource as each operator reads them, and a few canned answers.
Does not: pods (kubelet_double.py), the operators' statuses (the other doubles).
"""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from testbed.cluster.layout import BRIDGE_IP
from testbed.cluster.objects import Object, Objects, eventually

Names = Callable[[Object], set[str]]


def of_kubeai(found: Object) -> set[str]:
    """The Model's own name, and `<model>_<adapter>`."""
    name = found["metadata"]["name"]
    return {name, *(f"{name}_{each['name']}" for each in found["spec"].get("adapters", ()))}


def of_kuberay(found: Object) -> set[str]:
    """Ray Serve LLM's model ids, and `<id>:<folder>` of every adapter in the store; here tone's."""
    applications = yaml.safe_load(found["spec"]["serveConfigV2"])["applications"]
    configs = [config for each in applications for config in each["args"]["llm_configs"]]
    ids = {each["model_loading_config"]["model_id"] for each in configs}
    return ids | {f"{each}:tone/{'1' * 40}" for each in ids}


def of_inferenceservice(found: Object) -> set[str]:
    """What its arguments tell vLLM."""
    return _served(found["spec"]["predictor"]["model"]["args"])


def of_leaderworkerset(found: Object) -> set[str]:
    """What the leaders' arguments tell vLLM, the adapters' `<name>=<folder>` among them."""
    pod = found["spec"]["leaderWorkerTemplate"]["leaderTemplate"]["spec"]
    args = pod["containers"][0]["args"]
    adapters = args[args.index("--lora-modules") + 1 :] if "--lora-modules" in args else []
    return _served(args) | {each.partition("=")[0] for each in adapters if not each.startswith("--")}


def of_llminferenceservice(found: Object) -> set[str]:
    """Its model's name, and its adapters'."""
    model = found["spec"]["model"]
    return {model["name"], *(each["name"] for each in model["lora"]["adapters"])}


def of_nim(found: Object) -> set[str]:
    """A variable's value."""
    env = {each["name"]: each.get("value") for each in found["spec"]["env"]}
    return {env["NIM_SERVED_MODEL_NAME"]}


def of_dynamo(found: Object) -> set[str]:
    """What its workers are told."""
    (worker,) = (each for each in found["spec"]["components"] if each["type"] == "worker")
    return _served(worker["podTemplate"]["spec"]["containers"][0]["args"])


def _served(args: list[str]) -> set[str]:
    flag = "--served-model-name="
    return {each.removeprefix(flag) for each in args if each.startswith(flag)}


class EngineDouble:
    """Listens where pods and this machine reach it, behind a Service that is made for it; use it in a `with`.

    `asked` are the model names that requests had.
    """

    def __init__(self, objects: Objects, names: Callable[[], set[str]], prefix: str = "") -> None:
        self.asked: list[str] = []
        self._objects, self._names, self._prefix = objects, names, prefix
        handler = type("Handler", (_Handler,), {"double": self})
        self._server = ThreadingHTTPServer((BRIDGE_IP, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "EngineDouble":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_as(self, address: Mapping[str, Any], *, makes_service: bool = True) -> None:
        """Be where the address leads.

        Make the Service that the operator would make, and wait until it leads here; or, where Slipway makes
        it, only what it leads to.
        """
        port = {"name": "http", "protocol": "TCP"}
        self._prefix = address["path"]
        named = {"name": address["service"], "namespace": address["namespace"]}
        slice_labels = {"kubernetes.io/service-name": address["service"]}
        self._objects.apply(
            [
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {**named, "labels": slice_labels},
                    "addressType": "IPv4",
                    "endpoints": [{"addresses": [BRIDGE_IP], "conditions": {"ready": True}}],
                    "ports": [{**port, "port": self._server.server_port}],
                }
            ]
        )
        if makes_service:
            spec = {"ports": [{**port, "port": address["port"]}]}
            self._objects.apply([{"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": spec}])
            self._wait_until_led_to(address)

    def _wait_until_led_to(self, address: Mapping[str, Any]) -> None:
        service = self._objects.get("v1", "Service", address["service"], address["namespace"])
        assert service is not None
        url = f"http://{service['spec']['clusterIP']}:{address['port']}{self._prefix}/v1/models"
        eventually(lambda: _is_answered(url), f"{url} leads to the engine's double")

    def models(self) -> Object:
        """The list of models; as Ray Serve LLM has it, without what lies deeper than a folder."""
        listed = sorted(name for name in self._names() if "/" not in name)
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in listed]}

    def answer(self, path: str, body: Object | None) -> Iterator[Object]:
        """One JSON document, or the chunks of a stream; nothing where there is no such thing."""
        path = path.removeprefix(f"{self._prefix}/v1")
        if body is None:
            name = path.removeprefix("/models/").replace("%2F", "/").replace("%3A", ":")
            if path == "/models":
                yield self.models()
            elif name in self._names():
                yield {"id": name, "object": "model"}
            return
        self.asked.append(body["model"])
        if body["model"] not in self._names():
            return
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        head = {"id": "1", "created": 1, "model": body["model"]}
        if path == "/completions":
            choice = {"index": 0, "text": f"I am {body['model']}", "finish_reason": "stop"}
            yield {**head, "object": "text_completion", "choices": [choice], "usage": usage}
        elif path == "/chat/completions":
            for word in ("I", " am"):
                delta = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                yield {**head, "object": "chat.completion.chunk", "choices": [delta]}
            yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def _is_answered(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


class _Handler(BaseHTTPRequestHandler):
    double: EngineDouble

    def do_GET(self) -> None:
        self._send(list(self.double.answer(self.path.partition("?")[0], None)), streamed=False)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._send(list(self.double.answer(self.path, body)), streamed=bool(body.get("stream")))

    def _send(self, documents: list[Object], *, streamed: bool) -> None:
        texts = [json.dumps(each) for each in documents]
        if streamed and texts:
            content = "".join(f"data: {each}\n\n" for each in [*texts, "[DONE]"])
        else:
            content = texts[0] if texts else "{}"
        self.send_response(200 if texts else 404)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        pass
