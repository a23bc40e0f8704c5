"""What the supervisor promises, with servers that cost nothing."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway.commands.main import cli
from slipway.stack import embedded, supervisor
from slipway.stack.errors import StackError

TWO = {"gateway": (), "dagster": ("--part",)}
Make = Callable[..., Any]


def test_down_leaves_no_process_and_no_open_port(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    assert stack.states() == {"gateway": "ready", "dagster": "ready"}
    running = [pid for pids in stack.pids().values() for pid in pids]
    assert len(running) == 3
    assert len(stack.open_ports()) == 2
    stack.down()
    assert not any(stack.alive(pid) for pid in running)
    assert stack.pids() == {}
    assert stack.open_ports() == []


def test_up_twice_leaves_every_process_alone_and_starts_none(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    before = stack.pids()
    said = len(stack.said)
    stack.up()
    assert stack.pids() == before
    assert not any("starting" in line for line in stack.said[said:])


def test_the_next_up_uses_the_same_ports(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    first = stack.up().ports
    stack.down()
    assert stack.up().ports == first


@pytest.mark.parametrize("killed", ["gateway", "dagster"])
def test_up_repairs_the_one_service_whose_main_process_was_killed(make_fakes: Make, killed: str) -> None:
    stack = make_fakes(TWO)
    stack.up()
    other = "dagster" if killed == "gateway" else "gateway"
    before = stack.pids()
    stack.kill(stack.leader(killed))
    assert stack.states()[killed] != "ready"
    stack.up()
    after = stack.pids()
    assert after[other] == before[other]
    assert set(after[killed]).isdisjoint(before[killed]), "what the killed one left behind was stopped, too"
    assert stack.states()[killed] == "ready"


def test_up_starts_a_service_again_whose_part_was_killed_although_it_answers(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    before = stack.pids()
    part = next(pid for pid in before["dagster"] if pid != stack.leader("dagster"))
    stack.kill(part)
    assert stack.states() == {"gateway": "ready", "dagster": "sick"}
    stack.up()
    after = stack.pids()
    assert len(after["dagster"]) == 2
    assert after["gateway"] == before["gateway"]


def test_up_repairs_the_loss_of_everything_the_files_included(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    stack.kill(stack.leader("gateway"), stack.leader("dagster"))
    (stack.home / "stack.json").unlink()
    (stack.home / "stack.env").unlink()
    stack.up()
    assert stack.states() == {"gateway": "ready", "dagster": "ready"}
    assert {name: len(pids) for name, pids in stack.pids().items()} == {"gateway": 1, "dagster": 2}


def test_down_stops_a_stack_whose_home_was_removed(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    shutil.rmtree(stack.home)
    stack.down()
    assert stack.pids() == {}
    assert not stack.home.exists()


def test_a_service_that_ignores_sigterm_is_killed(make_fakes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.stack.stopping._DEFAULT_GRACE_S", 0.5)
    stack = make_fakes({"deaf": ("--deaf", "--part")})
    stack.up()
    stack.down()
    assert stack.pids() == {}
    assert stack.open_ports() == []


def test_a_taken_port_is_named_with_its_holder_and_nothing_is_started(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    stack.down()
    port = stack.state.ports["dagster"]
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(StackError) as raised:
            stack.up()
        assert stack.pids() == {}
    message = str(raised.value)
    assert f"dagster: port {port} (dagster) is taken by " in message
    assert "slipway down" in message
    stack.up()
    assert stack.states() == {"gateway": "ready", "dagster": "ready"}


def test_a_port_taken_while_one_service_was_down_leaves_the_others_running(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    before = stack.pids()
    port = stack.state.ports["gateway"]
    stack.kill(stack.leader("gateway"))
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("", port))
        stranger.listen()
        with pytest.raises(StackError, match=f"gateway: port {port}"):
            stack.up()
    assert stack.pids() == {"dagster": before["dagster"]}


def test_no_disk_space_is_said_before_anything_is_started(make_fakes: Make) -> None:
    stack = make_fakes(TWO, needed_bytes=2**60)
    with pytest.raises(
        StackError, match=r"no disk space: .* GiB free, and the stack needs 1073741824\.00 GiB"
    ):
        stack.up()
    assert stack.pids() == {}
    assert not (stack.home / "stack.json").exists()


def test_a_service_that_dies_at_start_shows_its_last_words_and_leaves_nothing(make_fakes: Make) -> None:
    stack = make_fakes({"gateway": (), "dagster": ("--fails", "no such flavour: mint")})
    with pytest.raises(StackError) as raised:
        stack.up()
    assert "dagster: ended while starting" in str(raised.value)
    assert "no such flavour: mint" in str(raised.value)
    assert stack.pids() == {}
    assert stack.open_ports() == []


def test_a_service_whose_settings_changed_is_started_again_and_no_other(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    stack.up()
    before = stack.pids()
    changed = make_fakes({**TWO, "dagster": ("--part", "--other")})
    changed.up()
    assert changed.pids()["gateway"] == before["gateway"]
    assert set(changed.pids()["dagster"]).isdisjoint(before["dagster"])


def test_waiting_returns_where_the_ui_is_or_names_what_is_not_ready(make_fakes: Make) -> None:
    stack = make_fakes(TWO)
    with pytest.raises(StackError, match="not ready after 0 s: nothing runs"):
        supervisor.wait_ready(stack.home, deadline_s=0, blueprint=stack.blueprint)
    stack.up()
    state = supervisor.wait_ready(stack.home, deadline_s=0, blueprint=stack.blueprint)
    assert state.ui_url == f"http://127.0.0.1:{stack.state.ports['dagster']}"
    stack.kill(stack.leader("gateway"))
    with pytest.raises(StackError, match="gateway stopped: not running"):
        supervisor.wait_ready(stack.home, deadline_s=0, blueprint=stack.blueprint)


def test_two_stacks_do_not_touch_each_other(make_fakes: Make) -> None:
    one, two = make_fakes(TWO, home="one"), make_fakes(TWO, home="two")
    one.up()
    two.up()
    before = two.pids()
    one.down()
    assert two.pids() == before
    assert set(two.states().values()) == {"ready"}


_UP = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import conftest
from slipway.stack import supervisor
supervisor.up(Path({home!r}), catalog=Path("unused"), progress=lambda line: print(line, flush=True),
              blueprint=conftest.fakes({arguments!r}))
"""


def _up_process(stack: Any, arguments: dict[str, tuple[str, ...]]) -> "subprocess.Popen[str]":
    code = _UP.format(here=str(Path(__file__).parent), home=str(stack.home), arguments=arguments)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """What it prints until those words come."""
    said = ""
    assert process.stdout is not None
    while words not in said:
        line = process.stdout.readline()
        assert line, f"it ended without {words!r}: {said}"
        said += line
    return said


def test_of_two_ups_at_once_the_second_waits_and_changes_nothing(make_fakes: Make, tmp_path: Path) -> None:
    arguments = {"gateway": (f"--once={tmp_path / 'go'}",), "dagster": ("--part",)}
    stack = make_fakes(arguments)
    first = _up_process(stack, arguments)
    said = [_read_until(first, "gateway: starting")]
    second = _up_process(stack, arguments)
    said.append(_read_until(second, "waiting for it"))
    (tmp_path / "go").touch()
    both = (first, second)
    said = [before + process.communicate(timeout=120)[0] for before, process in zip(said, both, strict=True)]
    assert [process.returncode for process in both] == [0, 0]
    assert {name: len(pids) for name, pids in stack.pids().items()} == {"gateway": 1, "dagster": 2}
    assert sum("gateway: starting" in each for each in said) == 1
    assert sum("waiting for it" in each for each in said) == 1


def test_an_interrupted_up_is_completed_by_the_next_one(make_fakes: Make, tmp_path: Path) -> None:
    arguments = {"gateway": (f"--once={tmp_path / 'go'}",), "dagster": ("--part",)}
    stack = make_fakes(arguments)
    process = _up_process(stack, arguments)
    _read_until(process, "dagster: ready")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) != 0
    before = stack.pids()
    assert {name: len(pids) for name, pids in before.items()} == {"gateway": 1, "dagster": 2}
    (tmp_path / "go").touch()
    stack.up()
    assert stack.pids() == before, "what was starting was waited for, not started again"


def test_an_interrupted_up_is_undone_by_down(make_fakes: Make, tmp_path: Path) -> None:
    arguments = {"gateway": (f"--once={tmp_path / 'never'}",), "dagster": ()}
    stack = make_fakes(arguments)
    process = _up_process(stack, arguments)
    _read_until(process, "dagster: ready")
    process.kill()
    process.wait()
    stack.down()
    assert stack.pids() == {}
    assert stack.open_ports() == []


def test_up_starts_a_gateway_that_died_whatever_the_catalog_says(
    make_fakes: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = make_fakes(TWO)
    stack.up()
    stack.kill(stack.leader("gateway"))
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "x.yaml").write_text("kind: Organization\nname: [\n")
    monkeypatch.setenv("SLIPWAY_HOME", str(stack.home))
    monkeypatch.setattr(embedded, "embedded", lambda _catalog: stack.blueprint)
    told = CliRunner().invoke(cli, ["up", "--catalog", str(tmp_path / "catalog")])
    assert told.exit_code == 0, told.output
    assert "x.yaml:3  document: not YAML" in told.output
    assert stack.states() == {"gateway": "ready", "dagster": "ready"}


def test_what_was_repaired_goes_on_although_another_part_cannot_start(make_fakes: Make) -> None:
    working = {"s3": (), "gateway": (), "dagster": ()}
    stack = make_fakes(working)
    stack.up()
    stack.kill(stack.leader("gateway"), stack.leader("dagster"))
    stack.blueprint = make_fakes({**working, "dagster": ("--fails", "no such flavour")}).blueprint
    with pytest.raises(StackError, match="dagster: ended while starting"):
        stack.up()
    stack.wait_ready("gateway")
    assert stack.states() == {"s3": "ready", "gateway": "ready", "dagster": "stopped"}
