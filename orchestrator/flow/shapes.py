"""The shape of each part of a workflow's JSON, and the plain data it becomes.

Models are strict: `"5"` is no number and `true` is no integer. Keys that are not known here are
somebody else's (the studio's) and are not looked at.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from nodes.contract import DEFAULT_PORT, NodeConfig, NodeOptions, PoolType, RetryPolicy

LABEL = r"^[A-Za-z0-9_.-]{1,50}$"
"""What a runner or worker may be labelled with, and a node may ask for."""
QUEUE_NAME = r"^[A-Za-z0-9_.-]{1,100}$"
DEFAULT_OPTIONS = NodeOptions()

_DEFAULT_RETRY = RetryPolicy()
_MAX_SECONDS = 7 * 24 * 3600
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """A node as it is written; `index` is its place in the JSON."""

    id: str
    type: str
    index: int
    config: NodeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSpec:
    """An edge as it is written, its handles in lower case; `index` is its place in the JSON."""

    id: str
    source: str
    target: str
    source_handle: str = DEFAULT_PORT
    target_handle: str = DEFAULT_PORT
    condition: str | None = None
    index: int = 0
    budget: int | None = None
    on_limit: str | None = None


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("one_line", "must not hold control characters")
    return value


def _part_of_keys(value: str) -> str:
    if value != value.strip() or "/" in value or ":" in value:
        raise PydanticCustomError("id", "must not hold '/' or ':', or spaces around it")
    return value


Text = Annotated[str, AfterValidator(_one_line)]
Line = Annotated[Text, Field(max_length=100)]
Name = Annotated[Line, Field(min_length=1)]
Id = Annotated[Name, AfterValidator(_part_of_keys)]
Pool = Annotated[Literal["async", "thread", "process"], BeforeValidator(_lower)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Label = Annotated[str, Field(pattern=LABEL)]
Labels = Annotated[list[Label], Field(max_length=10), BeforeValidator(_listed)]
Overflow = Literal["block", "drop_oldest", "dead_letter"]
ErrorName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
ErrorNames = Annotated[list[ErrorName], Field(max_length=50)]
Seconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS, allow_inf_nan=False)]
Timeout = Annotated[float, Field(gt=0, le=_MAX_SECONDS, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class RetryShape(Shape):
    max_attempts: int = Field(default=_DEFAULT_RETRY.max_attempts, ge=1, le=100)
    delay: Seconds = _DEFAULT_RETRY.delay
    backoff: Factor = _DEFAULT_RETRY.backoff
    max_delay: Seconds = _DEFAULT_RETRY.max_delay
    jitter: Share = _DEFAULT_RETRY.jitter
    retry_on: ErrorNames = Field(default_factory=list)
    give_up_on: ErrorNames = Field(default_factory=list)

    def policy(self) -> RetryPolicy:
        values = self.model_dump()
        for name in ("retry_on", "give_up_on"):
            values[name] = tuple(values[name])
        return RetryPolicy(**values)


class OptionsShape(Shape):
    timeout: Timeout | None = None
    pool: Pool | None = None
    retry: RetryShape | None = None
    max_in_flight: int = Field(default=DEFAULT_OPTIONS.max_in_flight, ge=1, le=10_000)
    replicas: int = Field(default=DEFAULT_OPTIONS.replicas, ge=1, le=100)
    max_deliveries: int = Field(default=DEFAULT_OPTIONS.max_deliveries, ge=2, le=100)
    queue_name: Annotated[str, Field(pattern=QUEUE_NAME)] | None = None
    max_length: int = Field(default=DEFAULT_OPTIONS.max_length, ge=1, le=1_000_000)
    max_bytes: int = Field(default=DEFAULT_OPTIONS.max_bytes, ge=1024, le=64 * 1024**3)
    overflow: Overflow = "block"
    advanced_templates: bool = False
    runs_on: Labels = Field(default_factory=list)

    def options(self) -> NodeOptions:
        return NodeOptions(
            timeout=self.timeout,
            pool=PoolType[self.pool.upper()] if self.pool else None,
            retry=self.retry.policy() if self.retry else None,
            max_in_flight=self.max_in_flight,
            replicas=self.replicas,
            max_deliveries=self.max_deliveries,
            queue_name=self.queue_name,
            max_length=self.max_length,
            max_bytes=self.max_bytes,
            overflow=self.overflow,
            advanced_templates=self.advanced_templates,
            runs_on=tuple(sorted(set(self.runs_on))),
        )


class DataShape(Shape):
    form: dict[str, Any] = Field(default_factory=dict)
    config: OptionsShape = Field(default_factory=OptionsShape)


class NodeShape(Shape):
    id: Id
    type: Name
    data: DataShape = Field(default_factory=DataShape)

    def spec(self, index: int) -> NodeSpec:
        given = self.data.config
        options = given.options() if given.model_fields_set else DEFAULT_OPTIONS
        config = NodeConfig(id=self.id, type=self.type, form=self.data.form, options=options)
        return NodeSpec(id=self.id, type=self.type, index=index, config=config)


class EdgeShape(Shape):
    id: Annotated[Text, Field(min_length=1, max_length=300)] | None = None
    source: Line
    target: Line
    source_handle: Name | None = Field(default=None, alias="sourceHandle")
    target_handle: Name | None = Field(default=None, alias="targetHandle")
    condition: Annotated[str, Field(max_length=16_384)] | None = None
    budget: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    on_limit: Line | None = None

    def spec(self, index: int) -> EdgeSpec:
        return EdgeSpec(
            id=self.id or f"edges[{index}]",
            source=self.source,
            target=self.target,
            source_handle=(self.source_handle or DEFAULT_PORT).lower(),
            target_handle=(self.target_handle or DEFAULT_PORT).lower(),
            condition=(self.condition or "").strip() or None,
            index=index,
            budget=self.budget,
            on_limit=self.on_limit,
        )


class HeadShape(Shape):
    name: Annotated[Text, Field(max_length=200)] = ""
    entry_point: str | None = None


class WorkflowShape(HeadShape):
    """What the JSON Schema is printed from; the parts are validated one by one."""

    model_config = ConfigDict(title="Workflow")

    nodes: list[NodeShape] = Field(min_length=1)
    edges: list[EdgeShape] = Field(default_factory=list)
