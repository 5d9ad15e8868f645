"""Registries, their health and what they told us, over the API."""

from typing import Annotated, Any, cast

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status
from pydantic import BaseModel, BeforeValidator, Field

from portus import lists
from portus.accounts.authentication import ADMINS, asker
from portus.fields import field_problem
from portus.lists import ListParameters, as_time
from portus.parameters import Text
from portus.problems import reasons
from portus.registry import events, health, operations, status
from portus.registry.models import EventState, Registry, RegistryEvent

router = Router(tags=["health"])
registries = Router(tags=["registries"], auth=ADMINS)
registry_events = Router(tags=["events"], auth=ADMINS)

PATIENCE_SECONDS = 10  # for a registry that somebody waits for


def _flag(value: Any) -> Any:
    """Read a truth value as Portus 2.4 did, where nothing is neither; pydantic knows the other spellings."""
    return None if value == "" else value


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Flag = Annotated[bool | None, BeforeValidator(_flag)]


class RegistryEntity(Schema):
    id: int = Field(description="Number of the registry.")
    name: str = Field(description="What it is called here.")
    hostname: str = Field(description="Host name at which we reach it, with its port.")
    external_hostname: str | None = Field(description="Host name by which clients know it, if they use another one.")
    use_ssl: bool = Field(description="Whether it speaks https.")
    created_at: str = Field(description="When it was registered.")
    updated_at: str = Field(description="When it was last changed.")


class NewRegistry(BaseModel):
    name: Text = Field(description="A name that no other registry has.")
    hostname: Text = Field(description="Host name at which we reach it, with its port.")
    use_ssl: Flag = Field(description="Whether it speaks https.")
    external_hostname: Text = Field("", description="Host name by which clients know it, if they use another one.")
    notification_secret: Text = Field(
        "", description="What its notifications carry in their Authorization header; never shown."
    )


class RegistryToCreate(BaseModel):
    registry: NewRegistry = Field(description="The registry.")
    force: Flag = Field(False, description="Do not ask whether it can be reached.")


class RegistryChanges(BaseModel):
    name: Text | None = Field(None, description="Another name.")
    hostname: Text | None = Field(None, description="Another host name, as long as there are no repositories.")
    use_ssl: Flag = Field(None, description="Whether it speaks https.")
    external_hostname: Text | None = Field(None, description="Another host name for clients; a blank one for none.")
    notification_secret: Text | None = Field(None, description="Another secret of its notifications; never shown.")


class RegistryToUpdate(BaseModel):
    registry: RegistryChanges = Field(description="What changes; the rest stays.")
    force: Flag = Field(False, description="Do not ask whether it can be reached.")


class RegistryToCheck(BaseModel):
    name: Text = Field("", description="The name that it would have.")
    hostname: Text = Field("", description="The host name that it would have.")
    use_ssl: Flag = Field(None, description="Whether it would speak https.")
    external_hostname: Text = Field("", description="The host name that clients would use.")
    only: Annotated[list[Text], BeforeValidator(_list)] = Field([], description="The fields to look at; all if none.")
    also: list[Text] = Field([], alias="only[]", description="The same, as forms spell a list.")


class RegistryValidity(Schema):
    messages: dict[str, list[str]] = Field(description="What is wrong, by field.")
    valid: bool = Field(description="Whether nothing is.")


class ComponentEntity(Schema):
    msg: str = Field(description="How it is.")
    success: bool = Field(description="Whether that is well.")


class EventEntity(Schema):
    id: int = Field(description="Number of the event.")
    registry_id: int | None = Field(description="Number of the registry that told us; none for an unknown one.")
    host: str = Field(description="The name by which that registry was addressed.")
    trusted: bool = Field(description="Whether it came with the registry's secret.")
    action: str = Field(description="push, pull or delete.")
    repository: str = Field(description="Full name of the repository.")
    state: str = Field(description="new, working, done, failed (it is tried again) or quarantined (not understood).")
    attempts: int = Field(description="How often it was tried to handle it.")
    error: str = Field(description="Why it was not handled the last time, or not understood.")
    received_at: str = Field(description="When it arrived.")
    due_at: str | None = Field(description="When it is handled next.")
    finished_at: str | None = Field(description="When it was handled.")


class EventParameters(ListParameters):
    state: EventState | None = Field(None, description="new, working, done, failed or quarantined.")


def registry_entity(registry: Registry) -> dict[str, Any]:
    return {
        "id": registry.pk,
        "name": registry.name,
        "hostname": registry.hostname,
        "external_hostname": registry.external_hostname,
        "use_ssl": registry.use_ssl,
        "created_at": as_time(registry.created_at),
        "updated_at": as_time(registry.updated_at),
    }


def event_entity(event: RegistryEvent) -> dict[str, Any]:
    """Leave out what was sent: it is as long as its sender liked."""
    return {
        "id": event.pk,
        "registry_id": event.registry_id,
        "host": event.host,
        "trusted": event.trusted,
        "action": event.action,
        "repository": event.repository,
        "state": event.state,
        "attempts": event.attempts,
        "error": event.error,
        "received_at": as_time(event.received_at),
        "due_at": as_time(event.due_at),
        "finished_at": as_time(event.finished_at),
    }


@router.get("/_ping", response=int, summary="Tell that Portus answers")
def ping(request: HttpRequest) -> int:
    """Nothing is asked of the database: this is what start scripts and load balancers poll."""
    return 200


@router.get(
    "/health",
    response={200: dict[str, ComponentEntity], 503: dict[str, ComponentEntity]},
    summary="Tell how the database and the registries are",
)
def show_health(request: HttpRequest) -> Status[dict[str, Any]]:
    """The status is 503 when something is not well. What was found stands for some seconds."""
    found = status.memory.components()
    well = all(component.success for component in found.values())
    return Status(200 if well else 503, {name: component._asdict() for name, component in found.items()})


@registries.get("/registries", response=list[RegistryEntity], summary="List the registries")
def list_registries(request: HttpRequest, parameters: Query[ListParameters]) -> HttpResponseBase:
    rows, sortable = Registry.objects.all(), {"name", "hostname", "created_at", "updated_at"}
    return lists.answer(request, rows, registry_entity, parameters, sortable=sortable)


@registries.post("/registries", response={201: RegistryEntity}, summary="Register a registry")
def create_registry(request: HttpRequest, data: RegistryToCreate) -> Status[dict[str, Any]]:
    fields = data.registry.model_dump()
    require_reachable(operations.draft_registry(**fields), force=data.force)
    return Status(201, registry_entity(operations.create_registry(**fields, actor=asker(request))))


@registries.get(
    "/registries/validate", response=RegistryValidity, summary="Tell whether a registry could be registered"
)
def validate_registry(request: HttpRequest, data: Query[RegistryToCheck]) -> dict[str, Any]:
    """The answer is 200 whether it could or not. Whether it can be reached is asked unless `only` spares `hostname`."""
    only = {*data.only, *data.also}
    found = problems_of(data, reach=not only or "hostname" in only)
    messages = {field: several for field, several in found.items() if not only or field in only}
    return {"messages": messages, "valid": not messages}


@registries.get("/registries/{int:id}", response=RegistryEntity, summary="Show a registry")
def show_registry(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002 - the parameter's name in 2.4
    return registry_entity(get_object_or_404(Registry, pk=id))


@registries.put("/registries/{int:id}", response=RegistryEntity, summary="Change a registry")
def update_registry(request: HttpRequest, id: int, data: RegistryToUpdate) -> dict[str, Any]:  # noqa: A002
    """Whether it can be reached is asked even when nothing changes, as in Portus 2.4."""
    registry, changes = get_object_or_404(Registry, pk=id), given(data.registry)
    require_reachable(operations.changed_registry(registry, **changes), force=data.force)
    operations.update_registry(registry, **changes, actor=asker(request))
    return registry_entity(registry)


@registry_events.get("/registry_events", response=list[EventEntity], summary="List what the registries told us")
def list_events(request: HttpRequest, parameters: Query[EventParameters]) -> HttpResponseBase:
    rows = RegistryEvent.objects.defer("data")
    if parameters.state is not None:
        rows = rows.filter(state=parameters.state)
    return lists.answer(request, rows, event_entity, parameters, sortable={"received_at", "due_at", "finished_at"})


@registry_events.post("/registry_events/{int:id}/retry", response=EventEntity, summary="Try to handle an event now")
def retry_event(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002
    """One that was not understood is read again: its registry may be known by now."""
    return event_entity(events.retry(get_object_or_404(RegistryEvent, pk=id)))


def given(changes: RegistryChanges) -> operations.Changes:
    """Return what was sent; null stands for a blank text."""
    sent = changes.model_dump(exclude_unset=True)
    fields = {field: value if field == "use_ssl" else value or "" for field, value in sent.items()}
    return cast("operations.Changes", fields)  # the schema has the same fields


def require_reachable(registry: Registry, *, force: bool | None) -> None:
    """Raise ValidationError unless the registry answers."""
    problem = "" if force else health.unreachable(registry, patience=PATIENCE_SECONDS)
    if problem:
        raise field_problem("hostname", problem, "unreachable")


def problems_of(data: RegistryToCheck, *, reach: bool) -> dict[str, list[str]]:
    """Return why a registry could not be registered, by field."""
    fields = {"name": data.name, "hostname": data.hostname, "external_hostname": data.external_hostname}
    problems: dict[str, list[ValidationError]] = {}
    try:
        operations.draft_registry(**fields, use_ssl=data.use_ssl)
    except ValidationError as error:
        problems = error.error_dict
    found = {field: reasons(errors) for field, errors in problems.items()}
    # Of another registry's name it can be told where it leads; of one that is none, it cannot.
    if reach and {error.code for error in problems.get("hostname", [])} <= {"unique"}:
        problem = health.unreachable(Registry(**fields, use_ssl=bool(data.use_ssl)), patience=PATIENCE_SECONDS)
        found.setdefault("hostname", []).extend(filter(None, [problem]))
    return {field: several for field, several in found.items() if several}
