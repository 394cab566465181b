"""Data flow of frameworks that no path of names describes: state of components, policies."""

from __future__ import annotations

from collections.abc import Sequence

from bullpen_processors.sast.graph import Op
from bullpen_processors.sast.linking import Links
from bullpen_processors.sast.lower.names import load, store
from bullpen_processors.sast.lower.state import Page
from bullpen_processors.sast.scopes import Assignment, Call, Class, Function


def lay_frameworks(page: Page, links: Links, calls: Sequence[Call], assignments: Sequence[Assignment]) -> None:
    """Add the edges."""
    for call in calls:
        if call.name in ("useState", "useRef", "useReducer"):
            for argument in call.arguments[:1]:
                page.graph.edge(argument, call.result, store("0"))
        elif call.path.endswith(("useState().1", "useReducer().1")):
            _set_state(page, links, call)
        elif call.name == "setState" and call.receiver:
            _component_state(page, links, call)
    for assignment in assignments:
        if assignment.name == "defaultProps":
            _default_properties(page, links, assignment)


def _default_properties(page: Page, links: Links, assignment: Assignment) -> None:
    for made in links.functions(assignment.receiver):
        if isinstance(made, Class):
            page.graph.edge(assignment.value, made.this, store("props"))


def _set_state(page: Page, links: Links, call: Call) -> None:
    """`setX(value)` of `[x, setX] = useState()`."""
    base = _base(page, call.callee)
    for argument in call.arguments[:1]:
        if base:
            page.graph.edge(argument, base, store("0"))
            for function in links.functions(argument):
                if isinstance(function, Function):
                    page.graph.edge(function.result, base, Op(store="0", far=True))


def _base(page: Page, callee: int) -> int:
    variable = page.reads.get(callee)
    for value in variable.values if variable is not None else (callee,):
        if value in page.derived:
            return page.derived[value][0]
    return 0


def _component_state(page: Page, links: Links, call: Call) -> None:
    """`this.setState({…})` and `this.setState((state, props) => …)`."""
    this = page.aliases.get(call.receiver, call.receiver)
    for argument in call.arguments[:1]:
        page.graph.edge(argument, this, store("state"))
        for function in links.functions(argument):
            if isinstance(function, Function):
                page.graph.edge(function.result, this, Op(store="state", far=True))
                for parameter, name in zip(function.parameters, ("state", "props"), strict=False):
                    page.graph.edge(this, parameter, load(name))
