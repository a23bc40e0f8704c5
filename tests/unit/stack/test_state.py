from pathlib import Path

import pytest

from slipway.environment import Environment
from slipway.stack.layout import Layout
from slipway.stack.logs import last_lines
from slipway.stack.ports import free_ports, is_free, lasting_ports
from slipway.stack.ray_head import MAX_TEMP_DIR_LENGTH
from slipway.stack.state import Leader, StackState, read_env, read_state, write_env, write_state
from slipway.stack.stopping import stop_order


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    state = StackState(layout.home, {"s3": 1, "dagster": 2}, {"s3": Leader(3, 4.5, ready=True)})
    write_state(layout, state)
    assert read_state(layout) == state
    assert state.ui_url == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"ports": 1}', '{"ports": {}, "leaders": {"a": {"x": 1}}}']
)
def test_a_damaged_state_file_is_an_empty_state(tmp_path: Path, content: str) -> None:
    layout = Layout.of(tmp_path)
    layout.state_file.write_text(content)
    assert read_state(layout) == StackState(layout.home)


def test_the_environment_file_is_its_owners_alone_and_what_the_others_read(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.env_file.write_text("OLD=1\n")
    layout.env_file.chmod(0o644)
    variables = {"SLIPWAY_S3_ENDPOINT": "http://127.0.0.1:1", "SLIPWAY_S3_SECRET_KEY": "a=b=="}
    write_env(layout.env_file, variables)
    assert layout.env_file.stat().st_mode & 0o777 == 0o600
    assert read_env(layout.env_file) == variables
    loaded = Environment.load({"SLIPWAY_HOME": str(tmp_path)})
    assert loaded.get("SLIPWAY_S3_SECRET_KEY") == "a=b=="


def test_one_home_has_one_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Layout.of(tmp_path / "link") == Layout.of(tmp_path / "real" / ".." / "real")


def test_rays_directory_is_short_and_differs_by_home(tmp_path: Path) -> None:
    deep = Layout.of(tmp_path / ("d" * 200))
    assert len(str(deep.ray_dir)) <= MAX_TEMP_DIR_LENGTH
    assert deep.ray_dir != Layout.of(tmp_path).ray_dir


def test_remembered_ports_are_free_distinct_and_outside_of_what_systems_hand_out() -> None:
    taken = lasting_ports(5)
    more = lasting_ports(20, taken)
    assert len({*taken, *more}) == 25
    assert all(is_free(port) and 20_000 <= port < 32_000 for port in more)
    assert len(set(free_ports(10))) == 10


def test_who_uses_another_is_stopped_before_it() -> None:
    assert stop_order(["s3", "hub", "ray", "gateway", "dagster", "new"]) == [
        "new", "gateway", "dagster", "ray", "hub", "s3",
    ]  # fmt: skip


def test_last_lines_are_those_of_this_start_without_colors(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("an earlier start\n")
    offset = log.stat().st_size
    assert last_lines(log, offset) == ""
    with log.open("a") as file:
        file.write("".join(f"line {number}\n" for number in range(30)) + "\x1b[31mred\x1b[0m\n")
    assert last_lines(log, offset, 3) == "line 28\nline 29\nred"
    assert "an earlier start" not in last_lines(log, offset, 100)
    assert last_lines(tmp_path / "none.log", 0) == ""
