"""A gateway whose organizations have admin keys, and the unmodified SDK as their owners use it."""

import openai
import pytest

from slipway.tenants import TenantsDatabase, admin_keys, users

from ..conftest import RunningGateway, until


class Administered:
    """A running gateway and the admin keys of its organizations; the SDK as each owner has it."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.secrets: dict[str, str] = {}

    @property
    def database(self) -> TenantsDatabase:
        return self.gateway.database

    def own(self, org: str) -> None:
        """Give an organization an owner and an admin key that works."""
        if org in self.secrets:
            return
        if org not in self.gateway.secrets:
            self.gateway.add_org(org)
        users.add(self.database, org, "owner", role="owner", email=f"owner@{org}.example")
        key = admin_keys.create(self.database, org, "owner", "first")
        self.secrets[org] = key.secret
        until(lambda: self.gateway.raw("/v1/organization/projects", secret=key.secret)[0] == 200)

    def options(self, org: str) -> dict:
        base_url = f"{self.gateway.url}/v1"
        secret = self.secrets[org]
        return {
            "api_key": "none",
            "admin_api_key": secret,
            "base_url": base_url,
            "max_retries": 0,
            "timeout": 60,
        }

    def client(self, org: str = "acme") -> openai.OpenAI:
        return openai.OpenAI(**self.options(org))

    def raw(self, path: str, body: object = None, *, org: str = "acme", method: str | None = None):
        return self.gateway.raw(path, body, secret=self.secrets[org], method=method)


@pytest.fixture
def administered(gateway: RunningGateway) -> Administered:
    """The shared gateway, with owners of `acme` and `evil`."""
    kept = getattr(gateway, "administered", None) or Administered(gateway)
    gateway.administered = kept
    kept.own("acme")
    kept.own("evil")
    return kept


@pytest.fixture
def organization(administered: Administered):
    """`client.admin.organization` of acme."""
    return administered.client().admin.organization
