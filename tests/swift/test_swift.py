"""The Swift runner and the documented app snippet, parsed by a Swift grammar.

No Swift compiler was available. These tests compare the syntax with a reviewed table of Apple's
interfaces, `apple_interfaces.csv`: names, argument labels, `try`, `await`, unwrapped optionals and
the iOS version of each interface. Types are not checked.
"""

import csv
import re
from pathlib import Path

import pytest
from swift_syntax import (
    CLOSURE,
    Signature,
    Use,
    awaits_somewhere,
    broken,
    calls,
    declared,
    guaranteed,
    handled,
    marked,
    members,
    parse,
    unwrapped,
    version,
    walk,
)
from tree_sitter import Tree

ROOT = Path(__file__).parents[2]
RUNNER = (ROOT / "latency_predictor/burst_runner/BurstRunner.swift").read_text()
SNIPPETS = re.findall(
    r"^```swift\n(.*?)^```", (ROOT / "docs/reference/export.md").read_text(), re.S | re.M
)
SOURCES = {"runner": RUNNER, **{f"snippet {n}": text for n, text in enumerate(SNIPPETS, 1)}}
TARGET = (17, 0)
"""The oldest iOS that the runner and the exported packages are for."""
NOT_LOOKED_UP = {
    # The standard library, and C functions, whose arguments have no labels.
    "Double", "Float", "Float16", "Float16.random", "Int32", "String", "[CChar]", "abs", "max",
    "min", ".append", ".compactMap", ".joined", ".map", ".reduce", ".sorted",
    "clock_gettime_nsec_np", "sysctlbyname",
}  # fmt: skip


def apple() -> dict[str, list[Signature]]:
    """The table, by name. A name may have several signatures, of which a call uses one."""
    found: dict[str, list[Signature]] = {}
    with (Path(__file__).parent / "apple_interfaces.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert row["source"].startswith("https://developer.apple.com/documentation/")
            notes = set(row["notes"].split())
            assert notes <= {"throws", "rethrows", "async", "optional", "member"}
            labels = re.findall(r"(\w+)(\??):", row["labels"])
            found.setdefault(row["name"], []).append(
                Signature(
                    tuple((label, mark == "?") for label, mark in labels),
                    throws="throws" in notes,
                    rethrows="rethrows" in notes,
                    asynchronous="async" in notes,
                    optional="optional" in notes,
                    ios=version(row["ios"]),
                )
            )
    return found


def signatures(use: Use, own: dict[str, Signature]) -> list[Signature]:
    """What a call may mean: an interface of Apple's, or a function of the file itself."""
    apples = apple().get(use.name, [])
    here = own.get(use.name.removeprefix("."))
    return [here] if here and not (apples and use.name.startswith(".")) else apples


def faults(tree: Tree) -> list[str]:
    """All that a compiler would refuse, as far as the syntax and the table show it."""
    found = [f"{place}: no Swift" for place in broken(tree)]
    own = declared(tree)
    for use in calls(tree):
        possible = signatures(use, own)
        if not possible and use.name not in NOT_LOOKED_UP:
            found.append(f"{use}: not in the table")
        meant = [one for one in possible if one.accepts(use.labels or ())]
        if possible and not meant:
            found.append(f"{use}: other labels")
        for one in meant[:1]:
            found += [f"{use}: {fault}" for fault in call_faults(use, one)]
    for use in members(tree):
        for one in apple().get(use.name, []):
            if one.optional and not unwrapped(use.node):
                found.append(f"{use}: not unwrapped")
    for node in walk(tree.root_node):
        if node.type == "try_expression" and not handled(node):
            found.append(f"line {node.start_point.row + 1}: the error goes nowhere")
        if node.type == "await_expression" and not awaits_somewhere(node):
            found.append(f"line {node.start_point.row + 1}: await outside of async")
    return found


def call_faults(use: Use, signature: Signature) -> list[str]:
    found = []
    inner_try = any(node.type == "try_expression" for node in walk(use.node) if node != use.node)
    if signature.throws or (signature.rethrows and inner_try):
        found += [] if marked(use.node, "try_expression") else ["throws, without try"]
    if signature.asynchronous:
        found += [] if marked(use.node, "await_expression") else ["asynchronous, without await"]
    if signature.optional and not unwrapped(use.node):
        found.append("optional, not unwrapped")
    if guaranteed(use.node, TARGET) < signature.ios:
        found.append(f"needs iOS {'.'.join(map(str, signature.ios))}")
    return found


def test_there_is_a_runner_and_a_snippet() -> None:
    assert len(SNIPPETS) == 1
    assert len(calls(parse(RUNNER))) > 50
    assert len(calls(parse(SNIPPETS[0]))) > 20


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_has_no_fault(name: str) -> None:
    assert faults(parse(SOURCES[name])) == []


def test_every_interface_in_the_table_is_used() -> None:
    used = {use.name for text in SOURCES.values() for find in (calls, members)
            for use in find(parse(text))}  # fmt: skip
    assert apple().keys() <= used
    assert used >= NOT_LOOKED_UP


@pytest.mark.parametrize("name", SOURCES)
def test_each_module_is_imported_by_name(name: str) -> None:
    """New projects of Xcode 26 hide members of modules that only another module imports."""
    needed = {"MLModel": "CoreML", "URL": "Foundation", "@Published": "Combine",
              "DispatchQueue": "Dispatch", "UIApplication": "UIKit", "sysctlbyname": "Darwin",
              "WindowGroup": "SwiftUI"}  # fmt: skip
    for word, module in needed.items():
        if word in SOURCES[name]:
            assert f"import {module}\n" in SOURCES[name], word


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("let loadMs = nowMs() - started", "let loadMs = nowMs( - started", "no Swift"),
        ("prediction(from: inputs)", "prediction(with: inputs)", "other labels"),
        ("contentsOf: package, configuration: configuration)\n    let loadMs",
         "contentsOf: package, config: configuration)\n    let loadMs", "other labels"),
        ("model.prediction(", "model.predict(", "not in the table"),
        ("_ = try model.prediction", "_ = model.prediction", "throws, without try"),
        ("try await MLComputePlan", "try MLComputePlan", "asynchronous, without await"),
        ("let measured = try autoreleasepool", "let measured = autoreleasepool",
         "throws, without try"),
        ("estimatedCost(of: operation)?.weight", "estimatedCost(of: operation).weight",
         "optional, not unwrapped"),
        ("    guard #available(iOS 17.4, *) else { return [] }\n", "", "needs iOS 17.4"),
        ("async throws -> [PlannedOp]", "async -> [PlannedOp]", "the error goes nowhere"),
        ("async throws -> [PlannedOp]", "throws -> [PlannedOp]", "await outside of async"),
        ("unitName: unitName, unit: unit)", "unit: unit, unitName: unitName)", "other labels"),
        ("guard let array = feature.multiArrayConstraint, array.dataType == .float16 else {\n",
         "let array = feature.multiArrayConstraint\n        if array.dataType != .float16 {\n",
         "not unwrapped"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_runner_is_found(right: str, wrong: str, fault: str) -> None:
    assert RUNNER.count(right) == 1, right
    found = faults(parse(RUNNER.replace(right, wrong)))
    assert any(fault in one for one in found), found


def test_labels_with_defaults_and_trailing_closures() -> None:
    stack = Signature((("alignment", True), ("spacing", True), ("content", False)))
    assert stack.accepts(("spacing", CLOSURE))
    assert stack.accepts((CLOSURE,))
    assert stack.accepts(("alignment", "spacing", "content"))
    assert not stack.accepts(("spacing", "alignment", CLOSURE))
    assert not stack.accepts(("spacing",))
    assert not stack.accepts(("padding", CLOSURE))
