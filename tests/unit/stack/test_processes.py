from slipway.stack.processes import Seen, owned, roots
from slipway.stack.state import Leader

ME = 2
INIT = Seen(1, 0, 1, 1.0, "init")
SHELL = Seen(ME, 1, ME, 50.0, "slipway down")
LEADER = Seen(100, 1, 100, 60.0, "ray start", "ray", "digest")
RAYLET = Seen(101, 100, 100, 61.0, "raylet", "ray", "digest")
AGENT = Seen(102, 101, 100, 62.0, "ray::DashboardAgent", wiped=True)
STRANGER = Seen(200, 1, 200, 70.0, "postgres")


def pids(seen: list[Seen], leaders: dict[str, Leader] | None = None) -> dict[str, list[int]]:
    found = owned(seen, leaders or {}, myself=ME)
    return {name: [each.pid for each in every] for name, every in found.items()}


def test_marked_processes_are_found_without_any_record() -> None:
    assert pids([INIT, SHELL, LEADER, RAYLET, STRANGER]) == {"ray": [100, 101]}


def test_a_process_whose_marks_are_wiped_out_is_known_by_its_parent_or_session() -> None:
    orphan = Seen(103, 1, 100, 62.0, "ray-dashboard-ServeHead-0", wiped=True)
    assert pids([INIT, SHELL, RAYLET, AGENT, orphan]) == {"ray": [101, 102, 103]}


def test_the_last_wiped_one_is_known_by_the_recorded_session_alone() -> None:
    assert pids([INIT, SHELL, AGENT], {"ray": Leader(100, 60.0)}) == {"ray": [102]}
    assert pids([INIT, SHELL, AGENT]) == {}


def test_a_stranger_in_a_session_whose_number_was_ours_is_spared() -> None:
    daemon = Seen(300, 1, 100, 900.0, "a daemon whose session leader has ended")
    assert pids([INIT, SHELL, daemon], {"ray": Leader(100, 60.0)}) == {}


def test_a_stranger_with_a_recorded_pid_is_spared() -> None:
    reused = Seen(100, 1, 100, 900.0, "vim", wiped=True)
    assert pids([INIT, SHELL, reused], {"ray": Leader(100, 60.0)}) == {}


def test_children_without_marks_belong_to_their_parents_service() -> None:
    tool = Seen(104, 101, 104, 80.0, "git gc")
    assert pids([INIT, SHELL, LEADER, RAYLET, tool]) == {"ray": [100, 101, 104]}


def test_the_one_who_asks_and_its_parents_are_never_found() -> None:
    marked_shell = Seen(60, 1, 60, 40.0, "bash in a run", "dagster", "digest")
    asking = Seen(ME, 60, 60, 50.0, "slipway down", "dagster", "digest")
    assert pids([INIT, marked_shell, asking, LEADER]) == {"ray": [100]}


def test_processes_of_several_services_are_kept_apart() -> None:
    gateway = Seen(400, 1, 400, 90.0, "gateway", "gateway", "digest")
    assert pids([INIT, SHELL, LEADER, gateway]) == {"ray": [100], "gateway": [400]}


def test_signals_go_to_the_topmost_processes() -> None:
    assert roots([RAYLET, AGENT, LEADER]) == [LEADER]
    assert roots([AGENT, RAYLET]) == [RAYLET]
