from __future__ import annotations

from handbone_cli.processes import describe_process, is_alive


def test_this_process_lives():
    assert is_alive(describe_process()) is True


def test_a_number_that_was_given_out_again_is_another_process():
    assert is_alive({**describe_process(), "since": "1"}) is False


def test_another_host_is_unknown():
    assert is_alive({**describe_process(), "host": "elsewhere"}) is None
    assert is_alive(None) is None
