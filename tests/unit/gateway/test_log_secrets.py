import json
import logging

import pytest

from slipway.gateway.telemetry import log

KEY = "sk-slipway-" + "A" * 43


@pytest.fixture
def lines(capfd):
    def read():
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    yield read
    log.hide(())


def failing(words):
    try:
        try:
            raise ValueError(words)
        except ValueError as cause:
            raise LookupError(words) from cause
    except LookupError as error:
        return error


def test_a_key_is_hidden_wherever_a_client_puts_it(lines):
    log.write("info", "refused", path=f"/v1/models/{KEY}", model=f"x {KEY[:20]} y")
    (line,) = lines()
    assert (line["path"], line["model"]) == ("/v1/models/(hidden)", "x (hidden) y")


def test_this_process_own_secrets_are_hidden_in_any_line(lines):
    log.hide(['operator "token"', "s3-secret-key", "short"])
    log.write("error", "it fails", error='bad credentials s3-secret-key for operator "token", short')
    (line,) = lines()
    assert line["error"] == "bad credentials (hidden) for (hidden), short"


def test_where_an_error_came_from_is_told_without_its_words():
    told = log.frames_of(failing("what a client wrote"))
    assert "what a client wrote" not in told
    assert "in failing" in told
    assert told.index("ValueError") < told.index("LookupError")


def test_a_librarys_error_is_told_without_its_words_and_what_it_was_doing(lines):
    error = failing("what a client wrote")
    message = (
        "Task exception was never retrieved\nfuture: <Task exception=LookupError('what a client wrote')>"
    )
    record = logging.LogRecord(
        "asyncio", logging.ERROR, "", 0, message, (), (type(error), error, error.__traceback__)
    )
    log.JsonHandler().emit(record)
    (line,) = lines()
    assert "what a client wrote" not in json.dumps(line)
    assert line["message"] == "Task exception was never retrieved"
    assert "in failing" in line["traceback"]


def test_an_error_that_is_its_own_cause_is_told_once():
    error = ValueError()
    error.__cause__ = error
    assert log.frames_of(error).count("ValueError") == 1
