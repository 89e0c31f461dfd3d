"""Calls and members of Swift source, from the syntax tree of a Swift grammar."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_swift
from tree_sitter import Language, Node, Parser, Tree

PARSER = Parser(Language(tree_sitter_swift.language()))
CLOSURE = "{}"
"""Stands for a trailing closure in the labels of a call."""

Version = tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """Labels in order, each with whether it may be left out, and what a caller must heed."""

    labels: tuple[tuple[str, bool], ...]
    throws: bool = False
    rethrows: bool = False
    asynchronous: bool = False
    optional: bool = False
    ios: Version = (0,)

    def accepts(self, written: tuple[str, ...]) -> bool:
        """Whether a call may write these labels: order kept, left out only what has a default."""
        left = list(self.labels)
        for label in written:
            if label == CLOSURE:
                return bool(left) and all(default for _, default in left[:-1])
            while left and left[0][0] != label and left[0][1]:
                left.pop(0)
            if not left or left.pop(0)[0] != label:
                return False
        return all(default for _, default in left)


@dataclass(frozen=True)
class Use:
    """A call, or an access to a member, for which `labels` is None.

    `name` is `Type.name`, or `.name` of a value, or the name of a function or type.
    """

    name: str
    labels: tuple[str, ...] | None
    node: Node

    def __str__(self) -> str:
        labels = "" if self.labels is None else f"({', '.join(self.labels)})"
        return f"line {self.node.start_point.row + 1}: {self.name}{labels}"


def parse(source: str) -> Tree:
    return PARSER.parse(source.encode())


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def ancestors(node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def broken(tree: Tree) -> list[str]:
    """Places that the grammar could not parse, or where it inserted a token."""
    found = [node for node in walk(tree.root_node) if node.is_error or node.is_missing]
    return [f"line {node.start_point.row + 1}: {text(node)[:40]!r}" for node in found]


def text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def calls(tree: Tree) -> list[Use]:
    """All calls, without subscripts, which the grammar parses as calls."""
    found = []
    for node in walk(tree.root_node):
        if node.type not in ("call_expression", "constructor_expression"):
            continue
        arguments = [child for child in walk_suffix(node) if child.type == "value_arguments"]
        if any(is_subscript(argument) for argument in arguments):
            continue
        labels = [label_of(one) for all_ in arguments for one in all_.named_children]
        closures = [child for child in walk_suffix(node) if child.type == "lambda_literal"]
        found.append(Use(callee(node), (*labels, *(CLOSURE for _ in closures)), node))
    return found


def walk_suffix(call: Node) -> list[Node]:
    suffixes = ("call_suffix", "constructor_suffix")
    return [part for child in call.children if child.type in suffixes for part in child.children]


def is_subscript(arguments: Node) -> bool:
    return arguments.children[0].type == "["


def is_called(node: Node) -> bool:
    above = node.parent
    if above is None or above.type != "call_expression" or above.children[0] != node:
        return False
    return not any(map(is_subscript, walk_suffix(above)))


def label_of(argument: Node) -> str:
    name = argument.child_by_field_name("name")
    return "_" if name is None else text(name)


def callee(call: Node) -> str:
    """The name of what is called. The grammar binds an operator before it to its left part."""
    function = call.named_children[0]
    while function.type.endswith("_expression") and function.type != "navigation_expression":
        function = function.named_children[-1]
    return member(function) if function.type == "navigation_expression" else type_name(function)


def type_name(node: Node) -> str:
    return text(node).partition("<")[0]


def member(navigation: Node) -> str:
    target = navigation.named_children[0]
    suffix = text(navigation.named_children[-1]).removeprefix(".")
    of_type = target.type == "simple_identifier" and text(target)[0].isupper()
    return f"{text(target)}.{suffix}" if of_type and text(target) != "Self" else f".{suffix}"


def members(tree: Tree) -> list[Use]:
    """All accesses to members that are not calls, and members of inferred types (`.float16`)."""
    found = []
    for node in walk(tree.root_node):
        if node.type == "navigation_expression" and not is_called(node):
            found.append(Use(member(node), None, node))
        if node.type == "prefix_expression" and node.children[0].type == ".":
            found.append(Use(text(node), None, node))
        if node.type == "switch_pattern":  # `case .cpu:`
            found.append(Use(text(node), None, node))
    return found


def declared(tree: Tree) -> dict[str, Signature]:
    """The functions and initialisers that the source itself declares, by name."""
    found: dict[str, Signature] = {}
    for node in walk(tree.root_node):
        name = node.child_by_field_name("name")
        if node.type == "function_declaration" and name is not None:
            found[text(name)] = of_function(node)
        if node.type == "class_declaration" and name is not None:
            body = node.child_by_field_name("body")
            assert body is not None
            own = [child for child in body.children if child.type == "init_declaration"]
            fields = tuple(field(child) for child in body.children if is_stored(child))
            is_class = any(child.type == "class" for child in node.children)
            memberwise = Signature(() if is_class else fields)
            found[text(name)] = of_function(own[0]) if own else memberwise
    return found


def of_function(node: Node) -> Signature:
    kinds = [child.type for child in node.children]
    labels = tuple(
        (text(child.child_by_field_name("external_name") or child.named_children[0]), default)
        for child, default in zip(
            node.children, [kind == "=" for kind in (*kinds[1:], "")], strict=True
        )
        if child.type == "parameter"
    )
    return Signature(
        labels, throws="throws" in kinds, asynchronous="async" in kinds, ios=promised(node)
    )


def is_stored(node: Node) -> bool:
    return node.type == "property_declaration" and "computed_property" not in [
        child.type for child in node.children
    ]


def field(node: Node) -> tuple[str, bool]:
    name = node.child_by_field_name("name")
    assert name is not None
    return text(name), any(child.type == "=" for child in node.children)


def promised(declaration: Node) -> Version:
    """The iOS version of the declaration's `@available`, or (0,)."""
    for child in declaration.children:
        if child.type == "modifiers" and "@available(iOS" in text(child):
            return version(text(child).partition("iOS")[2])
    return (0,)


def version(words: str) -> Version:
    return tuple(int(part) for part in words.partition(",")[0].strip().split("."))


def guaranteed(node: Node, target: Version) -> Version:
    """The iOS version that holds at a node: deployment target, `@available`, `guard #available`."""
    held = [target]
    below = node
    for above in ancestors(node):
        held.append(promised(above))
        for earlier in above.children if above.type == "statements" else ():
            condition = earlier.child_by_field_name("condition")
            if earlier.start_byte >= below.start_byte or condition is None:
                continue
            if earlier.type == "guard_statement" and condition.type == "availability_condition":
                held.append(version(text(condition).partition("iOS")[2]))
        below = above
    return max(held)


def marked(node: Node, kind: str) -> Node | None:
    """The `try_expression` or `await_expression` that covers a node. It ends at a closure."""
    left = node
    while left.named_children and left.type in ("call_expression", "navigation_expression"):
        left = left.named_children[0]
        if left.type == kind:  # the grammar binds `try a.b().c()` to `a.b()`
            return left
    for above in ancestors(node):
        if above.type in ("lambda_literal", "function_body"):
            return None
        if above.type == kind:
            return above
    return None


def handled(attempt: Node) -> bool:
    """Whether errors of a `try` go somewhere: `try?`, a catch, a throwing function, a closure."""
    if len(attempt.named_children[0].children) > 1:
        return True
    for above in ancestors(attempt):
        if above.type in ("function_declaration", "init_declaration"):
            return any(child.type == "throws" for child in above.children)
        if above.type == "do_statement":
            return any(child.type == "catch_block" for child in above.children)
        if above.type == "lambda_literal":
            return True  # the call that takes the closure rethrows, which is checked there
    return False


def awaits_somewhere(wait: Node) -> bool:
    """Whether an `await` stands in an asynchronous function or in a closure of `Task.detached`."""
    for above in ancestors(wait):
        if above.type in ("function_declaration", "init_declaration"):
            return any(child.type == "async" for child in above.children)
        if above.type == "lambda_literal":
            assert above.parent is not None
            assert above.parent.parent is not None
            return callee(above.parent.parent) == "Task.detached"
    return False


def unwrapped(node: Node) -> bool:
    """Whether an optional value is unwrapped: `!`, `?.`, `??`, or bound by `guard let`."""
    above = node.parent
    assert above is not None
    if above.type in ("postfix_expression", "nil_coalescing_expression"):
        return True
    if above.type == "navigation_expression":
        return above.children[1].type == "?"
    return above.type in ("guard_statement", "if_statement")
