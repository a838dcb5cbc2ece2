"""The address of the server, as the environment gives it."""

from collections.abc import Mapping


def given(environment: Mapping[str, str]) -> str:
    """Return REDIS_URL, or what REDIS_HOST and REDIS_PORT stand for; empty when none is set."""
    if url := environment.get("REDIS_URL"):
        return url
    host = environment.get("REDIS_HOST")
    return f"redis://{host}:{environment.get('REDIS_PORT') or 6379}/0" if host else ""
