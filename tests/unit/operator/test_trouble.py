"""What a JobQueue says of its Redis: who has to mend what, and the same words for as long as it lasts."""

from __future__ import annotations

import pytest

from bullpen_operator.trouble import redis_trouble
from bullpen_protocol.bullmq import RedisAwayError, RedisFaultError, RedisRefusedError


@pytest.mark.parametrize(
    ("fault", "reason", "sentence"),
    [
        pytest.param(
            RedisAwayError("ConnectionError: Error -2 connecting to nowhere:6379. Name or service not known."),
            "RedisAway",
            "Redis does not answer (ConnectionError: Error -2 connecting to nowhere:6379. Name or service not known); "
            "jobs wait where they are",
            id="away",
        ),
        pytest.param(
            RedisRefusedError("AuthenticationError: invalid username-password pair or user is disabled.", "NOAUTH"),
            "RedisRefused",
            "Redis refuses the user or password of the URL in its Secret (AuthenticationError: invalid "
            "username-password pair or user is disabled); mend the Secret",
            id="password",
        ),
        pytest.param(
            RedisRefusedError("NoPermissionError: no permissions to run the 'evalsha' command", "NOPERM"),
            "RedisRefused",
            "Redis does not let its user do what Bullpen needs (NoPermissionError: no permissions to run the "
            "'evalsha' command); docs/bullmq.md has the ACL",
            id="acl",
        ),
        pytest.param(
            RedisRefusedError("ResponseError: WRONGTYPE", "WRONGTYPE"),
            "RedisRefused",
            "Redis refuses to serve the queue (ResponseError: WRONGTYPE)",
            id="any-other",
        ),
        pytest.param(
            RedisRefusedError("Redis may evict jobs", "UNFIT"), "RedisUnfit", "Redis may evict jobs", id="unfit"
        ),
    ],
)
def test_a_fault_of_redis_says_what_to_mend(fault: RedisFaultError, reason: str, sentence: str) -> None:
    trouble = redis_trouble(fault)
    assert (trouble.reason, trouble.sentence, trouble.stops) == (reason, sentence, True)


def test_what_redis_says_is_escaped() -> None:
    assert "\\x1b" in redis_trouble(RedisAwayError("\x1b[2J")).sentence
