"""Wrong manifests are refused whole, in sentences that say where and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from bullpen_operator.local.manifest_files import ManifestError, load

GOOD = """\
apiVersion: bullpen.dev/v1alpha1
kind: JobQueue
metadata:
  name: images
spec:
  queue: images
  redis: {secretRef: {name: redis}}
  jobTypes:
    - name: resize
      timeout: 5m
"""


def problems(tmp_path: Path, *texts: str | bytes) -> list[str]:
    paths = [tmp_path / f"{letter}.yaml" for letter, _ in zip("ab", texts, strict=False)]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError) as caught:
        load(paths, {})
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def bomb() -> str:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))
    return f"l0: &l0 [x, x]\n{levels}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            changed("timeout: 5m", "timeout: 5 minutes"),
            "a.yaml:10: spec.jobTypes[0].timeout: expected a duration such as 30s, 10m or 1h30m, got '5 minutes'",
            id="duration",
        ),
        pytest.param(
            changed("timeout: 5m", "timeout: 0s"),
            'a.yaml:10: spec.jobTypes[0].timeout: expected more than zero, got "0s"',
            id="no-time-at-all",
        ),
        pytest.param(
            changed("timeout: 5m", "timout: 5m"),
            "a.yaml:10: spec.jobTypes[0].timout: unknown field; did you mean 'timeout'?",
            id="misspelt",
        ),
        pytest.param(
            changed("  queue: images\n", "  queue: images\n  job_types: []\n"),
            "a.yaml:7: spec.job_types: unknown field; did you mean 'jobTypes'?",
            id="python-s-name-of-a-field",
        ),
        pytest.param(
            changed("{name: redis}", "{name: redis, zzz: 1}"),
            "a.yaml:7: spec.redis.secretRef.zzz: unknown field; expected one of name",
            id="unknown-deep-inside",
        ),
        pytest.param(
            changed("  queue: images\n", ""), "a.yaml:5: spec.queue: missing; expected this field", id="missing"
        ),
        pytest.param(
            changed("queue: images", "queue: a:b"),
            'a.yaml:6: spec.queue: expected text that matches ^[^:\\s]+$, got "a:b"',
            id="colon-in-queue",
        ),
        pytest.param(
            changed("queue: images", "queue: 7"),
            "a.yaml:6: spec.queue: expected text (put it in quotes), got 7",
            id="number-for-text",
        ),
        pytest.param(
            changed("  queue: images\n", "  queue: images\n  concurrency: '5'\n"),
            'a.yaml:7: spec.concurrency: expected a whole number, got "5"',
            id="text-for-number",
        ),
        pytest.param(
            changed("  queue: images\n", "  queue: images\n  concurrency: 0\n"),
            "a.yaml:7: spec.concurrency: expected greater than or equal to 1, got 0",
            id="concurrency-0",
        ),
        pytest.param(
            changed("  queue: images\n", "  queue: images\n  suspend: maybe\n"),
            'a.yaml:7: spec.suspend: expected true or false, got "maybe"',
            id="not-a-boolean",
        ),
        pytest.param(
            changed("  queue: images\n", "  queue: images\n  unknownJobs: drop\n"),
            "a.yaml:7: spec.unknownJobs: expected 'hold' or 'fail', got \"drop\"",
            id="not-a-choice",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      resources: {limits: {memory: 1 GB}}\n"),
            "a.yaml:10: spec.jobTypes[0].resources.limits.memory: "
            "expected a quantity such as 500m, 2 or 512Mi, got '1 GB'",
            id="quantity",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      env: [{name: A}]\n"),
            "a.yaml:10: spec.jobTypes[0].env[0]: expected exactly one of value and valueFrom",
            id="variable-without-value",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      env: [{name: BULLPEN_TOKEN, value: x}]\n"),
            "a.yaml:10: spec.jobTypes[0].env[0]: "
            "names that start with BULLPEN_ are the operator's own; choose another",
            id="our-own-variable",
        ),
        pytest.param(
            changed("    - name: resize\n      timeout: 5m\n", "    []\n"),
            "a.yaml:8: spec.jobTypes: expected at least 1 item, got []",
            id="no-job-types",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "    - name: resize\n"),
            "a.yaml:5: spec: job type 'resize' is listed twice",
            id="job-type-twice",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      podTemplate: []\n"),
            "a.yaml:10: spec.jobTypes[0].podTemplate: expected a mapping, got []",
            id="pod-template-no-mapping",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      runner: plain\n      image: debian\n"),
            "a.yaml:10: spec.jobTypes[0].runner: job type 'resize' has runner: plain, "
            "which needs a cluster: its image can't be run here",
            id="plain",
        ),
        pytest.param(
            changed("      timeout: 5m\n", "      podTemplate: {spec: {hostNetwork: true}}\n"),
            "a.yaml:10: spec.jobTypes[0].podTemplate: job type 'resize': podTemplate sets hostNetwork; "
            "pods of jobs never share the host's namespaces: remove it",
            id="pod-template-that-a-cluster-refuses",
        ),
        pytest.param(
            changed("bullpen.dev/v1alpha1", "bullpen.dev/v1"),
            "a.yaml:1: apiVersion: expected 'bullpen.dev/v1alpha1', got \"bullpen.dev/v1\"",
            id="version",
        ),
        pytest.param(
            changed("kind: JobQueue", "kind: Jobqueue"),
            "a.yaml:2: kind: expected 'JobQueue', got \"Jobqueue\"",
            id="kind",
        ),
        pytest.param("kind: JobQueue\n", "a.yaml:1: apiVersion: missing; expected this field", id="nearly-empty"),
        pytest.param("", "a.yaml: no JobQueue in it; expected at least one", id="empty"),
        pytest.param("---\n---\n", "a.yaml: no JobQueue in it; expected at least one", id="empty-documents"),
        pytest.param(
            "- a\n", "a.yaml:1: expected a mapping with apiVersion, kind, metadata and spec", id="no-mapping"
        ),
        pytest.param(
            GOOD + "  queue: other\n", "a.yaml:11: 'queue' was given before in line 6", id="duplicate-key"
        ),
        pytest.param(
            "a: [1\nb: 2\n", "a.yaml:2: not YAML: expected ',' or ']', but got ':'", id="not-yaml"
        ),
        pytest.param(b"\xff\xfe\x00\xd8", "a.yaml: not YAML: it holds characters that YAML does not allow", id="bytes"),
        pytest.param("a: \x07\n", "a.yaml: not YAML: it holds characters that YAML does not allow", id="control"),
        pytest.param(
            "a: !!python/object/apply:os.system [id]\n",
            "a.yaml:1: the tag !!python/object/apply:os.system is not taken; expected plain values",
            id="tag",
        ),
        pytest.param("a: !secret x\n", "a.yaml:1: the tag !secret is not taken; expected plain values", id="own-tag"),
        pytest.param(
            bomb(), "a.yaml:1: more than 20000 values, aliases counted each time; expected a manifest", id="alias-bomb"
        ),
        pytest.param("a: &a [*a]\n", "a.yaml:1: nested too deep; expected at most 50 levels", id="alias-of-itself"),
        pytest.param("[" * 60 + "]" * 60, "a.yaml:1: nested too deep; expected at most 50 levels", id="deep"),
        pytest.param("[" * 9999, "a.yaml: nested too deep; expected at most 50 levels", id="deeper-than-the-parser"),
        pytest.param("<<: {a: 1}\n", "a.yaml:1: merge keys (<<) are not taken; write the fields out", id="merge-key"),
        pytest.param("[a]: 1\n", "a.yaml:1: a key is a list or a mapping; expected text", id="list-as-key"),
        pytest.param(
            "a: .nan\n", "a.yaml:1: '.nan' is not a number that JSON knows; expected a finite one", id="nan"
        ),
        pytest.param(
            "a: " + "9" * 5000 + "\n",
            "a.yaml:1: '99999999999999999999' can't be read as a value; put it in quotes",
            id="number-of-5000-digits",
        ),
        pytest.param("#" * (1 << 20) + "\n", "a.yaml: the file has 1048577 bytes; expected at most 1048576", id="big"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused_with_one_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert problems(tmp_path, text)[0] == said


def test_every_problem_of_every_file_is_listed_and_nothing_is_served(tmp_path: Path) -> None:
    one = changed("timeout: 5m", "timeout: x").replace("queue: images", "queue: a b")
    assert problems(tmp_path, one, changed("name: images", "name: Images")) == [
        'a.yaml:6: spec.queue: expected text that matches ^[^:\\s]+$, got "a b"',
        "a.yaml:10: spec.jobTypes[0].timeout: expected a duration such as 30s, 10m or 1h30m, got 'x'",
        'b.yaml:4: metadata.name: expected text that matches ^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$, got "Images"',
    ]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        pytest.param(GOOD, "b.yaml:1: metadata.name: JobQueue 'images' was given before at a.yaml:1", id="name"),
        pytest.param(
            changed("name: images", "name: other"),
            "b.yaml:1: spec.queue: 'images' is served by the JobQueue at a.yaml:1",
            id="queue",
        ),
    ],
)
def test_two_jobqueues_that_clash_are_refused(tmp_path: Path, second: str, said: str) -> None:
    assert [problem.replace(f"{tmp_path}/", "") for problem in problems(tmp_path, GOOD, second)] == [said]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere\.yaml: No such file or directory; expected a file of YAML"):
        load([tmp_path / "nowhere.yaml"], {})


def test_other_objects_in_a_file_are_left_out_with_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: redis}}\n---\n{GOOD}")
    manifests = load([path], {})
    assert [jobqueue.metadata.name for jobqueue in manifests.jobqueues] == ["images"]
    assert manifests.notices == (f"{path}:1: Secret (v1) is not for `bullpen local` and was left out",)


def test_anchors_of_a_sane_size_dates_and_quotes_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    text = changed("      timeout: 5m\n", "      settings: {a: &a [1, x], b: *a, since: 2024-01-01, of: =}\n")
    path.write_text(text)
    (jobqueue,) = load([path], {}).jobqueues
    assert jobqueue.spec.job_types[0].settings == {"a": [1, "x"], "b": [1, "x"], "since": "2024-01-01", "of": "="}


def test_an_optional_secret_may_be_missing(tmp_path: Path) -> None:
    variable = "{name: KEY, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}"
    (tmp_path / "a.yaml").write_text(changed("      timeout: 5m\n", f"      env: [{variable}]\n"))
    assert len(load([tmp_path / "a.yaml"], {}).jobqueues) == 1


def test_what_a_secret_would_fill_is_taken_from_the_environment_or_refused(tmp_path: Path) -> None:
    text = changed(
        "      timeout: 5m\n", "      env:\n        - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}\n"
    )
    assert problems(tmp_path, text) == [
        "a.yaml:11: spec.jobTypes[0].env[0].valueFrom: no Secrets or ConfigMaps here; "
        "set KEY in the environment of `bullpen local`"
    ]
    (jobqueue,) = load([tmp_path / "a.yaml"], {"KEY": "v"}).jobqueues
    assert jobqueue.metadata.name == "images"
