"""The scenarios of `bindings/contract` through the public methods: names, keywords, decoding."""

# JSON has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ventros
from ventros import commands
from ventros._calls import Scope, actor_of
from ventros._generated.client import SystemCollections
from ventros._generated.types import ProjectId, SagaDefinition
from ventros.errors import CLASSES, VentrosError

FOLDER = Path(__file__).parents[2] / "contract"
CATALOGUE: dict[str, Any] = json.loads((FOLDER.parent / "catalogue.json").read_text())
OPERATIONS: dict[str, Any] = {operation["name"]: operation for operation in CATALOGUE["operations"]}
KINDS = {kind: name for name, kind in CLASSES.items()}


def scenarios() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.json")):
        file = json.loads(path.read_text())
        for scenario in file["scenarios"]:
            yield pytest.param(file.get("given", []), scenario, id=f"{path.stem}: {scenario['about']}")


def numbered(item: Any, number: int) -> Any:
    """The item with its number in four digits for `####`, else for `#`, in its texts."""
    if isinstance(item, str):
        return item.replace("####", f"{number:04}").replace("#", str(number))
    if isinstance(item, list):
        return [numbered(inner, number) for inner in item]
    if isinstance(item, dict):
        return {key: numbered(inner, number) for key, inner in item.items()}
    return item


def wire(value: Any) -> Any:
    """What the engine wrote before it was decoded."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, VentrosError):
        others = [wire(error) for error in value.errors]
        fields = {"code": value.code, "message": value.message, "field": value.field, "details": value.details}
        return {"kind": KINDS[type(value)], **fields, "errors": others}
    if isinstance(value, list | tuple):
        return [wire(inner) for inner in value]
    if isinstance(value, dict):
        return {key: wire(inner) for key, inner in value.items()}
    return value


def recorded(event: ventros.Event[Any]) -> Any:
    """An event as the log has it: there the data names the type as well."""
    fields = msgspec.to_builtins(event, builtin_types=(datetime, date))
    return {**fields, "data": {"type": event.type, **fields["data"]}}


def fitted(value: Any, expected: Any) -> Any:
    """Without the nulls where nothing was expected: an attribute that the engine left out is None."""
    match value, expected:
        case dict(), dict():
            known = {key: inner for key, inner in value.items() if inner is not None or key in expected}
            return {key: fitted(inner, expected.get(key)) for key, inner in known.items()}
        case list(), list() if len(value) == len(expected):
            return [fitted(inner, other) for inner, other in zip(value, expected, strict=True)]
        case _:
            return value


def canonical(value: Any) -> str:
    plain = value if isinstance(value, VentrosError) else msgspec.to_builtins(value, builtin_types=(datetime, date))
    return json.dumps(wire(plain), sort_keys=True, indent=1, ensure_ascii=False)


def call(handle: Any, operation: str, input: dict[str, Any], **options: Any) -> Any:
    """Calls the method of an operation by keywords."""
    collection, verb = operation.split(".")
    named = {
        f"{name}_" if keyword.iskeyword(name) else name: value for name, value in input.items() if name != "cursor"
    }
    method = getattr(getattr(handle, collection), f"{verb}_" if keyword.iskeyword(verb) else verb)
    result = method(**named, **{name: value for name, value in options.items() if value is not None})
    return result.page(input.get("cursor")) if hasattr(result, "page") else result


class Play:
    def __init__(self, crm: ventros.Crm, clock: ventros.ManualClock) -> None:
        self.crm = crm
        self.clock = clock
        self.names: dict[str, Any] = {}
        self.project = ""
        self.readers = 0

    def step(self, step: dict[str, Any]) -> None:
        """Runs a step; what it answers must be what it says."""
        times = step.get("times")
        steps = [step] if times is None else [numbered(step, number) for number in range(times)]
        if "error" in step:
            with pytest.raises(VentrosError) as raised:
                self.run(step)
            assert canonical(raised.value) == canonical(step["error"])
            return
        output: Any = None
        for one in steps:
            output = self.run(one)
        plain = json.loads(canonical(output))
        if "as" in step:
            self.names[step["as"]] = plain
        if step["do"] == "projects.create":
            self.project = output.id
        if not step.get("quiet"):
            assert canonical(fitted(plain, step.get("then"))) == canonical(step.get("then"))

    def run(self, step: dict[str, Any]) -> Any:
        input = self.resolve(step.get("input", {}))
        by = self.resolve(step["by"]) if "by" in step else None
        project = self.crm.project(ProjectId(self.resolve(step["in"]) if "in" in step else self.project), actor=by)
        key, version = step.get("key"), step.get("expected_version")
        match step["do"]:
            case "clock.advance":
                return self.clock.advance(timedelta(seconds=input["seconds"]))
            case "run_pending":
                self.crm.run_pending()
                return None
            case "define_saga":
                return self.crm.define_saga(msgspec.convert(input, SagaDefinition))
            case "events":
                return self.events(project, input["of"])
            case "transact":
                listed = [call(commands, each["do"], each["input"]) for each in input["commands"]]
                return project.transact(listed, idempotency_key=key)
            case operation:
                system = SystemCollections(self.crm._native, Scope(actor=actor_of(by)))  # pyright: ignore[reportPrivateUsage]
                handle = system if OPERATIONS[operation]["scope"] == "system" else project
                return call(handle, operation, input, idempotency_key=key, expected_version=version)

    def events(self, project: ventros.Project, pattern: str) -> list[Any]:
        heard: list[Any] = []
        self.readers += 1
        reading = project.subscribe(f"contract.{self.readers}", heard.append, pattern)
        self.crm.run_pending()
        reading.cancel()
        return [recorded(event) for event in heard]

    def resolve(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = re.fullmatch(r"\$\{([^$}]*)\}", value)
            return self.find(whole[1]) if whole else re.sub(r"\$\{([^}]*)\}", lambda found: self.find(found[1]), value)
        if isinstance(value, list):
            return [self.resolve(inner) for inner in value]
        match value:
            case {"repeat": str(text), "times": int(times)}:
                return text * times
            case {"each": item, "times": int(times)}:
                return [numbered(item, number) for number in range(times)]
            case dict():
                return {key: self.resolve(inner) for key, inner in value.items()}
            case _:
                return value

    def find(self, path: str) -> Any:
        name, *rest = path.split(".")
        value = self.names[name]
        for part in rest:
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value


@pytest.mark.parametrize(("given", "scenario"), list(scenarios()))
def test_python_answers_as_the_scenario_says(given: list[dict[str, Any]], scenario: dict[str, Any]) -> None:
    clock = ventros.ManualClock(datetime(2025, 1, 6, 9, 0, tzinfo=UTC))
    key = None if scenario.get("vault") is False else bytes([7]) * 32
    with ventros.open(":memory:", clock=clock, background=False, seed=1, encryption_key=key, http=False) as crm:
        play = Play(crm, clock)
        for step in [*given, *scenario["steps"]]:
            play.step(step)
