"""What every operation may answer beside what its view says, told once for all of `/schema/`."""

from typing import Any

ERRORS = {
    "400": ("Invalid", "Something in the request is wrong; `details` names each place."),
    "401": ("NotAuthenticated", "Nobody is logged in, or the token is not valid."),
    "403": ("NotAllowed", "Whoever asks may not do this."),
    "404": ("NotFound", "There is no such thing."),
    "405": ("MethodNotAllowed", "This method is not for it; `Allow` names those that are."),
    "406": ("NotAcceptable", "Only JSON can be answered."),
    "409": ("Conflict", "What is there does not allow it now."),
    "413": ("TooLarge", "The body, or something in it, is too large."),
    "415": ("UnsupportedMediaType", "The body is no JSON."),
    "422": ("Failed", "It was tried, and failed."),
    "429": ("Busy", "As much is going on as may; try again."),
    "503": ("Unavailable", "The database, Redis, or a worker is away; try again."),
    "504": ("Timeout", "It took longer than it may."),
}
"""Answers of the one shape of errors: by status a name, and what it means."""
_ALWAYS = frozenset({"401", "403", "406", "503"})
_OF_A_BODY = frozenset({"400", "413", "415"})
_SHAPE = {"$ref": "#/components/schemas/Error"}


def add_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the errors that an operation with such inputs may answer: a hook of the schema."""
    operations = [each for methods in result["paths"].values() for each in methods.values()]
    for operation in operations:
        _add(operation)
    result["components"]["responses"] = {
        name: {"description": meaning, "content": {"application/json": {"schema": _SHAPE}}}
        for name, meaning in ERRORS.values()
    }
    return result


def _add(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    told = {status for status, answer in responses.items() if _is_plain_error(answer)}
    for status in told | (_possible(operation) - responses.keys()):
        responses[status] = {"$ref": f"#/components/responses/{ERRORS[status][0]}"}
    operation["responses"] = dict(sorted(responses.items()))


def _possible(operation: dict[str, Any]) -> set[str]:
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    found = set(_ALWAYS)
    if "requestBody" in operation:
        found |= _OF_A_BODY
    if "query" in places:
        found.add("400")
    if "path" in places:
        found.add("404")
    return found


def _is_plain_error(answer: dict[str, Any]) -> bool:
    content = answer.get("content", {}).get("application/json", {})
    return bool(content.get("schema") == _SHAPE)
