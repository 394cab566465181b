"""A part that a machine lacks is never passed over in silence."""

from __future__ import annotations

import pytest

from support import MISSING, ROOT, require_found

pytest_plugins = ["pytester"]


def test_what_is_found_is_handed_back() -> None:
    assert require_found("node", "bin/node", "install it") == "bin/node"


def test_a_missing_part_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{MISSING}node"):
        require_found("node", None, "install it")


def test_a_missing_part_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"{MISSING}node"):
        require_found("node", None, "install it")


def bring_conftest(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    for name in ("conftest", "support"):
        pytester.makepyfile(**{name: (ROOT / "tests" / f"{name}.py").read_text()})


def test_the_summary_counts_what_was_skipped_by_part_over_all_processes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    bring_conftest(pytester)
    pytester.makepyfile("""
        import pytest
        from support import require_found

        @pytest.mark.parametrize("number", range(3))
        def test_with_node(number):
            require_found("node", None, "install it")

        @pytest.mark.skip(reason="not today")
        def test_skipped_for_another_reason(): ...
    """)
    result = pytester.runpytest_subprocess("-n2", "-p", "no:cacheprovider")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["*parts not on this machine*", "    3 skipped without node (install it)"])
    result.stdout.no_fnmatch_line("*without not today*")


def test_tests_that_ask_for_more_time_begin_first(pytester: pytest.Pytester) -> None:
    bring_conftest(pytester)
    pytester.makepyfile("""
        import pytest

        def test_a(): ...

        @pytest.mark.timeout(60)
        def test_b(): ...

        @pytest.mark.timeout(600)
        def test_c(): ...

        def test_d(): ...
    """)
    result = pytester.runpytest_inprocess("--collect-only", "-q", "-p", "no:cacheprovider")
    assert [line.split("::")[1] for line in result.outlines if "::" in line] == ["test_c", "test_b", "test_a", "test_d"]
