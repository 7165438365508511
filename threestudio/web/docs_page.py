"""The HTTP interface described for people, from its OpenAPI; nothing on the page comes from outside."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("docs.css").read_text(encoding="utf-8")


def docs_page(described: Mapping[str, Any], example: str) -> str:
    """`described` is the OpenAPI; `example` some commands."""
    sections = "".join(
        section(path, method, operation, described)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )
    info = described["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="data:,"><title>{escape(info["title"])}: HTTP</title><style>{STYLE}</style>'
        f"<h1>{escape(info['title'])} over HTTP</h1><p>{escape(info['summary'])} "
        f'<a href="/">The page</a> · <a href="/openapi.json">openapi.json</a></p><pre>{escape(example)}</pre>{sections}'
    )


def section(path: str, method: str, operation: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    rows = [(one["name"], one.get("description") or kind(one["schema"])) for one in operation.get("parameters", ())]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        rows += fields(content["schema"], described)
    answers = [(code, answer["description"]) for code, answer in operation["responses"].items() if code != "422"]
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            if code_of(answer) and "$ref" in content.get("schema", {}):
                answers += fields(content["schema"], described)
    text = escape(operation.get("description", operation.get("summary", "")))
    heading = f"<h2><code><b>{method.upper()}</b> {escape(path)}</code></h2>"
    return f"<section>{heading}<p>{text}</p>{table(rows)}{table(answers)}</section>"


def code_of(answer: Mapping[str, Any]) -> bool:
    return answer["description"] == "Successful Response"


def fields(schema: Mapping[str, Any], described: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = schema.get("$ref", "").rpartition("/")[2]
    known = described["components"]["schemas"].get(name, schema)
    return [(key, value.get("description") or kind(value)) for key, value in known.get("properties", {}).items()]


def kind(schema: Mapping[str, Any]) -> str:
    return str(schema.get("type", schema.get("$ref", "").rpartition("/")[2]))


def table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<dt><code>{escape(name)}</code></dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<dl>{cells}</dl>" if cells else ""
