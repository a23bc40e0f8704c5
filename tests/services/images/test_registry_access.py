"""Tokens, redirects and broken connections, with real registries behind them."""

import contextlib
import functools
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from slipway.artifacts.errors import AccessError, SourceError
from slipway.artifacts.images.mirror import mirror
from slipway.artifacts.images.registries import Registries
from slipway.catalog.documents import Registry, Settings
from slipway.catalog.fields import SecretRef
from slipway.environment import Environment
from testbed.registries.made_images import ImageMaker, sha256
from testbed.registries.registry_server import PASSWORD, USER, DistributionRegistry, make_certificate
from testbed.registries.token_server import FakeTokenServer

from .conftest import PATH, QUICK

LOGIN = f"{USER}:{PASSWORD}"


@pytest.fixture
def mirror_from(store, tmp_path, variables, request_for):
    """Mirror `team/engine:v1` from a host, with what the settings say of it."""

    def run(host: str, registry: Registry, **more: str):
        settings = Settings(name="x", registries={host: registry})
        registries = Registries(Environment({**variables, **more}, tmp_path), settings, QUICK)
        request = request_for(image=f"{host}/{PATH}")
        return mirror(request, store, registries, lambda look: None)

    return run


class TestTokens:
    @pytest.fixture
    def tokens(self, tmp_path) -> Iterator[FakeTokenServer]:
        (tmp_path / "signer").mkdir()
        make_certificate(tmp_path / "signer")
        certificate, key = tmp_path / "signer" / "server.pem", tmp_path / "signer" / "server.key"
        with FakeTokenServer(certificate, key, LOGIN) as server:
            yield server

    @pytest.fixture
    def guarded(self, tmp_path, tokens) -> Iterator[DistributionRegistry]:
        """A registry in plain http that believes the token server; it holds an image."""
        registry = DistributionRegistry(tmp_path / "guarded")
        registry.start()
        ImageMaker(registry.base_url, PATH).image(tag="v1")
        registry.restart(more={"auth": tokens.auth()})
        yield registry
        registry.stop()

    def test_a_token_is_fetched_once_per_scope_with_the_credentials(self, guarded, tokens, mirror_from):
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), insecure_http=True)
        mirror_from(guarded.host, login)
        assert [scopes for scopes, _ in tokens.asked] == [[f"repository:{PATH}:pull"]]
        assert tokens.asked[0][1] is not None

    def test_the_anonymous_get_a_token_where_they_are_welcome(self, guarded, tokens, mirror_from):
        tokens.anonymous = True
        mirror_from(guarded.host, Registry(insecure_http=True))
        assert {authorization for _, authorization in tokens.asked} == {None}

    def test_a_token_that_ended_is_renewed(self, guarded, tokens, mirror_from):
        tokens.life_s = 1  # shorter than the spare time: each request asks for a new one
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), insecure_http=True)
        assert mirror_from(guarded.host, login).moved_blobs == 3
        assert len(tokens.asked) > 3

    def test_wrong_credentials_are_named_and_not_shown(self, guarded, tokens, mirror_from):
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), insecure_http=True)
        with pytest.raises(AccessError, match="does not accept the credentials in SOURCE_LOGIN") as refused:
            mirror_from(guarded.host, login, SOURCE_LOGIN="reader:mistyped")
        assert "mistyped" not in str(refused.value)
        with pytest.raises(AccessError, match=r"does not accept us without credentials.*pull_secret"):
            mirror_from(guarded.host, Registry(insecure_http=True))

    def test_pushing_and_mounting_ask_for_their_scopes(
        self, guarded, tokens, store, tmp_path, request_for, variables, maker, settings
    ):
        variables = {
            **variables,
            "SLIPWAY_REGISTRY": guarded.host,
            "SLIPWAY_REGISTRY_USERNAME": USER,
            "SLIPWAY_REGISTRY_PASSWORD": PASSWORD,
        }
        registries = Registries(Environment(variables, tmp_path), settings, QUICK)
        layer = maker.draw.randbytes(1000)
        maker.image(tag="v1", layers=(layer,))
        first = mirror(request_for(), store, registries, lambda look: None).record
        maker.path = "team/other"
        maker.image(tag="v1", layers=(layer,), licence="MIT")
        image = request_for().image.replace(PATH, "team/other")
        second = mirror(request_for(engine="other", image=image), store, registries, lambda look: None)
        assert second.moved_bytes == second.record.size_bytes - len(layer)
        scopes = [f"repository:{second.record.repository}:pull,push", f"repository:{first.repository}:pull"]
        assert scopes in [asked for asked, _ in tokens.asked]


class TestRedirects:
    @pytest.fixture
    def storage(self, tmp_path):
        """Another server that holds the registry's blobs; it remembers what it was sent."""
        (tmp_path / "redirecting" / "storage").mkdir(parents=True)
        seen: list[str | None] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers.get("Authorization"))
                super().do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        handler = functools.partial(Handler, directory=str(tmp_path / "redirecting" / "storage"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        server.server_close()

    @pytest.fixture
    def redirecting(self, tmp_path, storage):
        """A registry with basic auth that sends readers of blobs to its storage."""

        def start(*, plain: bool) -> DistributionRegistry:
            root = tmp_path / "redirecting"
            registry = DistributionRegistry(root, secured=True, plain=plain)
            registry.more = {
                "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": storage[0]}}]}
            }
            registry.start()
            started.append(registry)
            return registry

        started: list[DistributionRegistry] = []
        yield start
        for each in started:
            each.stop()

    def test_credentials_never_go_where_the_registry_redirects(self, redirecting, storage, mirror_from):
        registry = redirecting(plain=True)
        digest = ImageMaker(registry.base_url, PATH).image(tag="v1")["digest"]
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), insecure_http=True)
        found = mirror_from(registry.host, login)
        assert found.record.digest == digest
        assert len(storage[1]) >= 3 and set(storage[1]) == {None}

    def test_a_redirect_from_https_to_http_is_not_followed(self, redirecting, storage, mirror_from, source):
        import ssl

        registry = redirecting(plain=False)
        context = ssl.create_default_context(cafile=str(registry.ca_file))
        ImageMaker(registry.base_url, PATH, context).image(tag="v1")
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), ca_file=str(registry.ca_file))
        with pytest.raises(SourceError, match=r"redirects to http://127\.0\.0\.1.*not https"):
            mirror_from(registry.host, login)
        assert storage[1] == []


class CuttingProxy:
    """Between a client and a registry: breaks each of the first connections off after so many bytes."""

    def __init__(self, port: int, cuts: int, after_bytes: int) -> None:
        self._to, self._cuts, self._after = port, cuts, after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, self._after), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, most: int | None) -> None:
        passed = 0
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
                passed += len(piece)
                if most is not None and passed > most and self.cut < self._cuts:
                    self.cut += 1
                    break
        except OSError:
            pass
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def test_a_read_that_breaks_off_goes_on_where_it_was(source, maker, mirror_from, read_back, target):
    layer = maker.draw.randbytes(12_000_000)
    digest = maker.image(tag="v1", layers=(layer,))["digest"]
    proxy = CuttingProxy(source.port, cuts=2, after_bytes=5_000_000)
    login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), ca_file=str(source.ca_file))
    found = mirror_from(proxy.host, login)
    proxy.close()
    assert proxy.cut == 2
    assert sha256(read_back(found.record, "v1")) == digest
    assert (
        target.requests("PUT", f"digest={sha256(layer).replace(':', '%3A')}") == 1
    )  # one upload, never begun anew
    assert source.requests("GET", f"blobs/{sha256(layer)}") == 3
