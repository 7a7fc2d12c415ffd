"""Whether the given Swift files parse: no compiler is here, so at least no bracket or keyword is out of place."""

import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_swift
from tree_sitter import Language, Node, Parser


def faults(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from faults(child)


def main(paths: list[str]) -> int:
    parser = Parser(Language(tree_sitter_swift.language()))
    found = 0
    for path in paths:
        text = Path(path).read_bytes()
        for node in faults(parser.parse(text).root_node):
            line = node.start_point.row + 1
            print(f"{path}:{line}: {text.splitlines()[line - 1].decode().strip()}", file=sys.stderr)
            found += 1
    print(f"{len(paths)} Swift files, {found} places that do not parse")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
