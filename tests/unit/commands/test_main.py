"""What commands do where nothing is, or the wrong thing: one message with a hint, and no traces."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.catalog import Catalog
from slipway.commands import main as commands
from slipway.control import plans
from slipway.control.changes import Change, FieldChange
from slipway.environment import Environment
from slipway.stack import processes, supervisor
from slipway.stack.errors import StackError
from slipway.stack.state import StackState
from slipway.tenants import TenantsDatabase

ORGANIZATIONS = "kind: Organization\nname: acme\n---\nkind: Organization\nname: globex\n"
SECRET = "hf_" + "aB3dE6gH9" * 4

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory to be in, with nothing of Slipway in the environment."""
    for name in [name for name in os.environ if name.startswith("SLIPWAY_")]:
        monkeypatch.delenv(name)
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    monkeypatch.chdir(directory)
    before = set(os.environ)
    yield directory
    for name in set(os.environ) - before:  # --home sets one
        monkeypatch.delenv(name)


@pytest.fixture
def slipway(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `slipway ...` as the shell does; its exit code, and all that it printed."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["slipway", *words])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return run


@pytest.fixture(scope="module")
def a_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making the tables takes half a second: once."""
    path = tmp_path_factory.mktemp("tenants") / "tenants.db"
    TenantsDatabase(f"sqlite:///{path}").migrate()
    return path


@pytest.fixture
def a_home(elsewhere: Path, a_database: Path) -> Path:
    """A home with a tenants' database of today, and a catalog of two organisations beside it."""
    home = elsewhere / ".slipway"
    home.mkdir()
    shutil.copyfile(a_database, home / "tenants.db")
    (elsewhere / "catalog").mkdir()
    (elsewhere / "catalog" / "orgs.yaml").write_text(ORGANIZATIONS)
    return home


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "there is no stack in"),
        (("key", "list"), "no tenants' database at"),
        (("key", "create", "acme", "anna"), "no tenants' database at"),
        (("key", "revoke", "key_1"), "no tenants' database at"),
        (("up",), "no catalog at"),
        (("up", "--catalog", "nowhere"), "no catalog at"),
        (("get", "deployments"), "There is no stack in"),
        (("warehouse", "rebuild"), "There is no stack in"),
        (("weights", "list", "--catalog", "nowhere"), "There is no stack in"),
        (("check",), "no catalog here: no such directory"),
        (("plan",), "no catalog here: no such directory"),
    ],
)
def test_elsewhere_a_command_says_where_to_go_and_leaves_nothing(
    slipway: Run, elsewhere: Path, words: tuple[str, ...], said: str
) -> None:
    code, printed = slipway(*words)
    assert code == 1
    assert said in printed
    assert str(elsewhere) in printed
    assert any(hint in printed for hint in ("slipway --home DIR", "--catalog"))
    assert list(elsewhere.iterdir()) == []


def test_down_elsewhere_ends_nothing_and_says_so(slipway: Run, elsewhere: Path) -> None:
    code, printed = slipway("down")
    assert (code, "nothing runs" in printed, "There is no stack in" in printed) == (0, True, True)
    assert list(elsewhere.iterdir()) == []


def test_the_hint_names_a_stack_that_runs(slipway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "running_homes", lambda: [Path("/srv/slipway/.slipway")])
    assert "A stack of /srv/slipway/.slipway runs: go to its directory" in slipway("status")[1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nope/deep/x.db", "no tenants' database at /nope/deep/x.db (SLIPWAY_TENANTS_DB)"),
        ("nope", "SLIPWAY_TENANTS_DB is not the URL of a database. Write sqlite:////absolute/path.db"),
        ("postgresql://a:s3cret@h:port/d", "SLIPWAY_TENANTS_DB is not the URL of a database."),
        ("mysql://a:s3cret@h/d", "its driver is not installed"),
        ("oracle+nope://a:s3cret@h/d", "SLIPWAY_TENANTS_DB is not the URL of a database."),
        ("sqlite:///", "SLIPWAY_TENANTS_DB names no file"),
    ],
)
def test_a_wrong_url_of_the_tenants_database_is_a_sentence(
    slipway: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("SLIPWAY_TENANTS_DB", url)
    code, printed = slipway("key", "list")
    assert (code, said in printed, "s3cret" in printed) == (1, True, False), printed
    assert list(elsewhere.iterdir()) == []
    assert not Path("/nope").exists()


@pytest.mark.parametrize("words", [("--home", "file", "status"), ("--home", "file/below", "key", "list")])
def test_a_home_that_is_a_file_is_wrong_usage(slipway: Run, elsewhere: Path, words: tuple[str, ...]) -> None:
    (elsewhere / "file").write_text("")
    code, printed = slipway(*words)
    assert code == 2
    assert f"{elsewhere / 'file'} is a file. Name a directory." in printed


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("key", "create", "acme", ""), 2, "is empty"),
        (("key", "create", "acme", "  "), 2, "is empty"),
        (("key", "create", "acme", "an\nna"), 2, "cannot be shown"),
        (("key", "create", "acme", "anna", "--label", "\x1b[31m"), 2, "cannot be shown"),
        (("key", "create", "umbrella", "anna"), 1, "umbrella: no organisation of the catalog"),
        (("key", "create", "", "anna"), 1, ": no organisation of the catalog"),
        (("key", "create", "acme", "anna", "--expires", "soon"), 2, "no duration and no instant"),
        (("key", "create", "acme", "anna", "--expires", "0d"), 2, "no duration and no instant"),
        (("key", "create", "acme", "anna", "--expires", "99999w"), 2, "no duration and no instant"),
        (("key", "create", "acme", "anna", "--expires", "2020-01-01"), 2, "2020-01-01T00:00:00Z is past"),
        (("key", "create", "acme", "anna", "--tasks", "cooking"), 2, "cooking: no task. Name some of: text-"),
        (("key", "create", "acme", "anna", "--tasks", ","), 2, "names nothing"),
        (("key", "create", "acme", "anna", "--deployments", "nope"), 2, "nope: no deployment of the catalog"),
        (("key", "create", "acme", "anna", "--project", "web"), 1, "project web: acme has none of that name"),
        (("key", "rotate", "key_1"), 1, "API key key_1: not in the tenants' database."),
        (("key", "rotate", "key_1", "--grace", "-1h"), 2, "is no duration"),
        (("admin-key", "create", "umbrella", "anna"), 1, "umbrella: no organisation of the catalog"),
        (("admin-key", "revoke", "key_1"), 1, "admin key key_1: not in the tenants' database."),
        (("user", "add", "acme", "svc_acct_1"), 1, "as ids of service accounts do"),
        (("user", "add", "acme", "anna", "--email", "anna"), 1, "is no e-mail address"),
        (("user", "remove", "acme", "nobody"), 1, "user nobody of acme: not in the tenants' database"),
        (("project", "archive", "acme", "web"), 1, "acme has none of that name or id. It has: none."),
        (("key", "revoke", "key_1"), 1, "API key key_1: not in the tenants' database."),
        (("weights", "pull", "tiny", "--all"), 2, "both NAME (tiny) and --all are given"),
        (("weights", "verify", "tiny", "--all"), 2, "both NAME (tiny) and --all are given"),
        (("weights", "verify", "--all", "--commit", "1"), 2, "--commit is of one NAME"),
        (("weights", "pull"), 2, "give one NAME, or --all"),
        (("plan", "--nope"), 2, "No such option"),
        (("nope",), 2, "No such command"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    slipway: Run, a_home: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    assert a_home.exists()
    found, printed = slipway(*words)
    assert (found, said in printed) == (code, True), printed


def test_a_key_can_be_made_before_the_sensor_has_brought_the_organisation(slipway: Run, a_home: Path) -> None:
    assert slipway("key", "create", "acme", "anna")[0] == 0
    assert "acme/anna" in slipway("key", "list")[1]
    assert TenantsDatabase(f"sqlite:///{a_home / 'tenants.db'}").orgs() == ["acme"]


def test_a_key_is_made_with_an_expiry_and_restrictions_rotated_and_shows_its_secret_once(
    slipway: Run, a_home: Path
) -> None:
    database = TenantsDatabase(f"sqlite:///{a_home / 'tenants.db'}")
    database.sync_orgs(["acme"])
    assert slipway("project", "create", "acme", "web")[0] == 0
    restricted = ("--project", "web", "--expires", "1h30m", "--tasks", "rerank, embedding")
    code, printed = slipway("key", "create", "acme", "anna", "--label", "server", *restricted)
    assert (code, "It works until 20" in printed) == (0, True)
    old, secret = printed.split()[:2]
    code, printed = slipway("key", "rotate", old, "--grace", "10m")
    assert (code, f"{old} stops in 0:10:00" in printed) == (0, True)
    new, new_secret = printed.split()[:2]
    code, printed = slipway("key", "list", "--org", "acme")
    assert [line.split()[0] for line in printed.splitlines()] == [old, new]
    assert all("acme/anna  server  usable until 20" in line for line in printed.splitlines())
    assert all(line.endswith("Z  tasks: embedding, rerank") for line in printed.splitlines())
    assert secret not in printed
    assert new_secret not in printed
    assert slipway("key", "revoke", new) == (0, f"{new} revoked\n")
    assert "revoked" in slipway("key", "list")[1].splitlines()[1]
    assert slipway("key", "rotate", new)[0] == 1


def test_an_admin_key_is_an_owners_and_goes_with_the_user(slipway: Run, a_home: Path) -> None:
    TenantsDatabase(f"sqlite:///{a_home / 'tenants.db'}").sync_orgs(["acme"])
    code, printed = slipway("admin-key", "create", "acme", "anna", "--label", "ops")
    assert (code, "  sk-slipway-admin-" in printed) == (0, True)
    assert slipway("user", "list", "acme")[1].endswith("  acme/anna  owner\n")
    assert slipway("admin-key", "list")[1].endswith("  acme/anna  ops  usable\n")
    assert slipway("key", "list")[1] == ""
    assert slipway("user", "remove", "acme", "anna")[0] == 0
    assert slipway("admin-key", "list")[1].endswith("  revoked\n")
    assert slipway("user", "list", "acme")[1] == ""


def test_an_organisation_that_was_removed_gets_no_key(slipway: Run, a_home: Path, elsewhere: Path) -> None:
    database = TenantsDatabase(f"sqlite:///{a_home / 'tenants.db'}")
    database.sync_orgs(["acme", "old"])
    database.sync_orgs(["acme"])
    code, printed = slipway("key", "create", "old", "anna")
    assert (code, "old: no organisation of the catalog, so its keys would be refused" in printed) == (1, True)
    assert database.keys() == []


def test_a_file_that_is_no_database_is_told_and_stays_as_it_is(slipway: Run, a_home: Path) -> None:
    path = a_home / "tenants.db"
    path.write_text("no database at all, but a text of some length")
    before = path.read_bytes()
    code, printed = slipway("key", "list")
    assert (code, "is no SQLite database" in printed) == (1, True)
    assert path.read_bytes() == before


def test_a_plan_that_differs_is_not_wrong_usage_and_shows_no_secret(
    slipway: Run, a_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert a_home.exists()
    field = FieldChange("deployment.env", {"HF_TOKEN": "hunter2", "A": "b"}, {"A": f"{SECRET}"})
    changes = [Change("update", "Deployment", "chat", (field,), (f"spec.env: {SECRET}",))]

    def changed(_catalog: Catalog, _environment: Environment) -> list[Change]:
        return changes

    monkeypatch.setattr(plans, "deployed_changes", changed)
    code, printed = slipway("plan")
    assert code == 3
    assert 'deployment.env: {"HF_TOKEN": "(not shown)", "A": "b"} -> {"A": "(not shown)"}' in printed
    assert not any(secret in printed for secret in ("hunter2", SECRET))
    changes.clear()
    assert slipway("plan") == (0, "nothing to change\n")


def test_a_check_prints_every_problem_as_an_editor_reads_it(slipway: Run, elsewhere: Path) -> None:
    (elsewhere / "catalog").mkdir()
    (elsewhere / "catalog" / "x.yaml").write_text("kind: Organization\nname: Bad_Name\n")
    (elsewhere / "catalog" / ".x.yaml").write_text("")
    code, printed = slipway("check")
    assert code == 1
    assert [line.split("  ")[0] for line in printed.splitlines()] == [
        "catalog/.x.yaml:1",
        "catalog/x.yaml:2",
        "1 error, 1 warning",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StackError("gateway: ended while starting."), "slipway: gateway: ended while starting."),
        (PermissionError(13, "Permission denied", "/srv/x"), "slipway: /srv/x: permission denied."),
        (KeyError("id"), "failed in a way that nobody thought of (KeyError: 'id')"),
        (AttributeError("no x"), "failed in a way that nobody thought of (AttributeError: no x)"),
    ],
)
def test_no_failure_is_a_traceback(
    slipway: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_words: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(supervisor, "status", fail)
    code, printed = slipway("status")
    assert code == 1
    assert said in printed
    assert "Traceback" not in printed


def test_up_starts_the_stack_whatever_the_catalog_says_and_tells_its_errors(
    slipway: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "catalog").mkdir()
    (elsewhere / "catalog" / "x.yaml").write_text("kind: Organization\nname: [\n")
    started: list[Path] = []

    def up(home: Path, *, catalog: Path, progress: object) -> StackState:
        started.append(catalog)
        return StackState(home, {"dagster": 1, "gateway": 2})

    monkeypatch.setattr(supervisor, "up", up)
    code, printed = slipway("up")
    assert (code, started) == (0, [elsewhere / "catalog"])
    assert "x.yaml:3  document: not YAML" in printed
    assert "The stack runs; nothing is deployed or changed until the catalog is corrected." in printed


def test_up_after_a_reboot_starts_the_stack_of_a_catalog_that_is_gone(
    slipway: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / ".slipway").mkdir()
    (elsewhere / ".slipway" / "stack.env").write_text(f"SLIPWAY_CATALOG={elsewhere}/catalog\n")
    monkeypatch.setattr(
        supervisor, "up", lambda home, **_options: StackState(home, {"dagster": 1, "gateway": 2})
    )
    code, printed = slipway("up")
    assert code == 0
    assert "no catalog here: no such directory" in printed
