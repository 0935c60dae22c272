"""Options of a training command, declared once: fields of a dataclass that are command-line arguments too."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import MISSING, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Options = TypeVar("Options")


def option(help: str, default: Any = MISSING, **argument: Any) -> Any:
    """A field that is an argument too, required without a default; `argument` is passed to argparse."""
    return field(default=default, metadata={"help": help, **argument})


def add_options(parser: argparse.ArgumentParser, record: type) -> None:
    """An argument for each `option` of the dataclass; its annotation defines how the text is parsed."""
    kinds = get_type_hints(record)
    for one in fields(record):
        if not one.metadata:
            continue
        argument, default = dict(one.metadata), one.default
        if isinstance(default, bool):
            argument["action"] = argparse.BooleanOptionalAction if default else "store_true"
        else:
            argument = _parsing(kinds[one.name]) | argument
            if default not in (MISSING, None, ()):
                argument["help"] += f" (default: {default})"
        default = {"required": True} if default is MISSING else {"default": default}
        parser.add_argument(f"--{one.name.replace('_', '-')}", **argument, **default)


def _parsing(kind: Any) -> dict[str, Any]:
    """The arguments of argparse for a type; a tuple is comma-separated."""
    if get_origin(kind) is UnionType:
        kind = next(of for of in get_args(kind) if of is not NoneType)
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if get_origin(kind) is not tuple:
        return {"type": kind}
    (of, _) = get_args(kind)
    return {"type": lambda text: tuple(of(part.strip()) for part in text.split(",") if part.strip())}


def options_in(args: argparse.Namespace, record: Callable[..., Options]) -> Options:
    """The dataclass with the parsed arguments."""
    return record(**{one.name: getattr(args, one.name) for one in fields(record) if one.metadata})
