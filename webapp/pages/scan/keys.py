"""Every key of the scan page: one table for the help sheet (`?`) and for docs/reading.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True)
class Shortcut:
    """`keys`: each as on its keycap, `Ctrl+z` for two at once; `upto`: the end of a range."""

    keys: tuple[Text, ...]
    action: Text
    upto: str = ""

    @property
    def parts(self) -> list[list[str]]:
        """Each key as the caps that are pressed at once."""
        return [key.split("+") if len(key) > 1 else [key] for key in map(str, self.keys)]

    @property
    def markdown(self) -> str:
        caps = ", ".join("+".join(f"`{cap}`" for cap in key) for key in self.parts)
        return f"{caps} to `{self.upto}`" if self.upto else caps


KEYS: Mapping[Text, Sequence[Shortcut]] = {
    _("Studies and reading"): (
        Shortcut(("j", "k"), _("next, previous study")),
        Shortcut(("u",), _("worklist")),
        Shortcut(("1",), _("select or clear a finding of my reading"), upto="9"),
        Shortcut(("Ctrl+Enter",), _("sign, and open the next study")),
        Shortcut(("R",), _("go to my reading")),
        Shortcut(("b",), _("compare with prior, close comparison")),
        Shortcut(("S",), _("another view of the study side by side")),
        Shortcut(("n",), _("link or unlink images")),
        Shortcut(("m",), _("move to another patient")),
    ),
    _("Window and view"): (
        Shortcut(("v", "p", "z"), _("window/level, pan, zoom by dragging")),
        Shortcut(("g",), _("magnifier")),
        Shortcut(("Shift+1",), _("window presets"), upto="5"),
        Shortcut(("w", "W"), _("window width up, down")),
        Shortcut(("l", "L"), _("level up, down")),
        Shortcut(("i",), _("invert")),
        Shortcut(("+", "-"), _("zoom in, out (or mouse wheel)")),
        Shortcut(("f", "0"), _("fit to window, actual size")),
        Shortcut(("t", "T"), _("rotate right, left")),
        Shortcut(("x", "y"), _("flip horizontally, vertically")),
        Shortcut((_("arrows"),), _("pan, or move a point of a mark")),
        Shortcut(("r",), _("reset")),
        Shortcut(("s",), _("full screen")),
        Shortcut((",", "."), _("patient panel, result panel on or off")),
    ),
    _("Measurements and marks"): (
        Shortcut(("d", "a"), _("length, angle")),
        Shortcut(("B", "E"), _("rectangle, ellipse: mean, SD, min, max")),
        Shortcut(("P",), _("pixel value")),
        Shortcut(("A",), _("arrow with text")),
        Shortcut(("C",), _("cardiothoracic ratio: heart, then thorax")),
        Shortcut(("Enter", "Esc"), _("set the points by keyboard, cancel")),
        Shortcut(("Delete",), _("delete the selected mark, else the last")),
        Shortcut(("M",), _("show or hide marks")),
        Shortcut(("K",), _("mark the view as a key image")),
        Shortcut(("Ctrl+z",), _("undo the last change of window, view or marks")),
    ),
    _("Heatmap"): (
        Shortcut(("h",), _("heatmap on or off")),
        Shortcut(("c",), _("next finding")),
        Shortcut(("e",), _("explanation method")),
        Shortcut(("o",), _("heatmap as outlines")),
        Shortcut(("[", "]"), _("opacity down, up")),
        Shortcut(("{", "}"), _("minimum down, up")),
        Shortcut(("q",), _("next colour map")),
    ),
}


def markdown() -> str:
    """The table of docs/reading.md."""
    lines = ["| Key | Action |", "| --- | --- |"]
    for title, shortcuts in KEYS.items():
        lines.append(f"| **{title}** | |")
        lines += [f"| {one.markdown} | {one.action} |" for one in shortcuts]
    return "\n".join(lines)
