"""The CustomResourceDefinition of a JobQueue, made from the models: what pydantic refuses, the API server refuses.

No defaults are written into it: a job type must not look as if it had said what `defaults` says for it.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from bullpen_operator.crd_rules import FORM_OF_QUANTITY, RULES, SIZE_RULE, duration_rule
from bullpen_operator.jobqueue_status import JobQueueStatus
from bullpen_operator.model import API_GROUP, KIND, JobQueueSpec

PLURAL: Final = "jobqueues"

_COLUMNS: Final = (
    ("Queue", "string", ".spec.queue", "Name of the BullMQ queue"),
    ("Waiting", "integer", ".status.waiting", "Jobs that wait"),
    ("Active", "integer", ".status.active", "Jobs that are active in BullMQ"),
    ("Pods", "integer", ".status.podsRunning", "Pods that run"),
    ("Pending", "integer", ".status.podsPending", "Pods that have not started yet"),
    ("Failed", "integer", ".status.failed", "Jobs that failed and are kept"),
    ("Oldest", "date", ".status.oldestWaiting", "For how long the oldest of the jobs that come next has waited"),
    ("Blocked-By", "string", ".status.blockedBy", "Why nothing is claimed"),
    ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status", "Whether jobs are claimed"),
    ("Age", "date", ".metadata.creationTimestamp", ""),
)

_KEPT: Final = (
    "type", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "required",
)  # fmt: skip
Json = dict[str, Any]


def crd() -> Json:
    """Build the whole object."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "plural": PLURAL, "singular": "jobqueue", "shortNames": ["jq"]},
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _whole()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                }
            ],
        },
    }


def _whole() -> Json:
    return {
        "type": "object",
        "description": "A BullMQ queue whose jobs run in pods of their own.",
        "required": ["spec"],
        "properties": {"spec": structural(JobQueueSpec), "status": structural(JobQueueStatus)},
    }


def _column(name: str, kind: str, path: str, description: str) -> Json:
    column = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"description": description} if description else {})


def structural(model: type[BaseModel]) -> Json:
    """Write *model* as a structural schema: no references, no alternatives, no titles."""
    schema = model.model_json_schema(by_alias=True)
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Json, definitions: Json) -> Json:
    schema = _resolved(schema, definitions)
    if "anyOf" in schema:
        # `X | None`: in Kubernetes a field is left out, not null.
        [only] = [one for one in schema["anyOf"] if one.get("type") != "null"]
        inner = _node(only, definitions)
        return inner | {key: schema[key] for key in ("description",) if key in schema}
    node = {key: schema[key] for key in _KEPT if key in schema} | _formatted(schema)
    if "x-kubernetes-int-or-string" in node:
        del node["type"]
    if schema.get("type") == "object":
        node |= _object(schema, definitions)
    if "items" in schema:
        node["items"] = _node(schema["items"], definitions)
    return node


def _resolved(schema: Json, definitions: Json) -> Json:
    """Follow a reference; what is said beside it (a field's own description) wins."""
    if "$ref" not in schema:
        return schema
    found: Json = definitions[schema["$ref"].rpartition("/")[2]]
    return found | {key: value for key, value in schema.items() if key != "$ref"}


def _object(schema: Json, definitions: Json) -> Json:
    if "properties" not in schema:
        return {"x-kubernetes-preserve-unknown-fields": True}
    node: Json = {"properties": {name: _node(field, definitions) for name, field in schema["properties"].items()}}
    rules = RULES.get(schema.get("title", ""))
    if rules:
        node["x-kubernetes-validations"] = [dict(rule) for rule in rules]
    if "jobTypes" in node["properties"]:
        # Two job types of one name are refused by the server, and `kubectl apply` merges them by name.
        node["properties"]["jobTypes"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    if "conditions" in node["properties"]:
        node["properties"]["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return node


def _formatted(schema: Json) -> Json:
    kind = schema.get("format")
    if kind == "duration":
        # The pattern would only be quoted at people; the rule says what to write, and looks at the form first.
        return {
            "minLength": 1,
            "maxLength": 40,
            "x-kubernetes-validations": [duration_rule(schema.get("ge") == "PT1S")],
        }
    if kind == "size":
        return {"minLength": 1, "maxLength": 20, "x-kubernetes-validations": [SIZE_RULE]}
    if kind == "cpu":
        # No rule: its cost can't be bounded, for the API server gives such a value no longest length.
        either = [{"type": "integer"}, {"type": "string"}]
        return {"x-kubernetes-int-or-string": True, "anyOf": either, "pattern": FORM_OF_QUANTITY}
    return {}
