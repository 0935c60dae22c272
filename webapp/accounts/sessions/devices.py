"""What a browser calls itself, in words."""

from __future__ import annotations

# In this order: a browser names those that it is compatible with after itself.
BROWSERS = (
    *(("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari")),
)
SYSTEMS = (
    *(("Windows", "Windows"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("Android", "Android")),
    *(("Mac OS", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


def device_name(user_agent: str) -> str:
    """Browser and system, such as `Firefox, Windows`; empty for what names neither."""
    found = (
        next((name for mark, name in known if mark in user_agent), None) for known in (BROWSERS, SYSTEMS)
    )
    return ", ".join(name for name in found if name)
