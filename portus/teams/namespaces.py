"""What happens to namespaces: those of teams, the personal ones and the global one."""

import re
from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from portus.accounts.models import User
from portus.activities.operations import record
from portus.fields import field_problem, insert_once, save_once
from portus.registry.models import Registry
from portus.teams.models import Membership, Namespace, Role, Team, Visibility

LONGEST_NAME = 255

_Row = TypeVar("_Row", Team, Namespace)


@transaction.atomic
def create_namespace(*, name: str, team: Team, registry: Registry, description: str = "", actor: User) -> Namespace:
    """Create a private namespace of a team; raise ValidationError for a wrong or taken name and for a hidden team."""
    if team.hidden:
        raise field_problem("team", "This team takes no further namespaces.", "hidden")
    namespace = Namespace(name=name, team=team, registry=registry, description=description)
    namespace.full_clean(validate_constraints=False)
    same = Namespace.objects.filter(registry=registry, name=name)
    insert_once(namespace, same, field_problem("name", "Name has already been taken", "unique"))
    record("namespace.create", namespace, actor=actor, team=team.name)
    return namespace


def name_problems(name: str, registry: Registry) -> list[ValidationError]:
    """Return why a new namespace cannot have this name; nothing when it can."""
    namespace = Namespace(name=name, registry=registry)
    problems: list[ValidationError] = []
    try:
        namespace.clean_fields(exclude=["team", "registry"])
    except ValidationError as error:
        problems += error.error_dict["name"]
    if Namespace.objects.filter(registry=registry, name=name).exists():
        problems.append(ValidationError("Name has already been taken", code="unique"))
    return problems


@transaction.atomic
def change_visibility(namespace: Namespace, visibility: Visibility, *, actor: User) -> bool:
    """Set who may pull besides the members; return whether anything changed. The global namespace is never private."""
    if namespace.visibility == visibility:
        return False
    if namespace.is_global and visibility == Visibility.PRIVATE:
        raise field_problem("visibility", "The global namespace cannot be private.", "global")
    namespace.visibility = visibility
    namespace.save(update_fields=["visibility", "updated_at"])
    record("namespace.change_visibility", namespace, actor=actor, visibility=visibility.label)
    return True


@transaction.atomic
def update_namespace(
    namespace: Namespace, *, name: str | None = None, description: str | None = None, actor: User
) -> None:
    """Set what is given and differs, all of it or nothing; a blank name leaves the old one.

    Raises ValidationError for a name that is wrong or taken, and for a new name while there are repositories: nothing
    moves in the registry, so they would be out of reach.
    """
    before = Namespace.objects.select_for_update().get(pk=namespace.pk)
    changed = Namespace.objects.select_related("registry", "team").get(pk=namespace.pk)
    changed.name = name or before.name
    changed.description = before.description if description is None else description
    changed.full_clean(validate_constraints=False)
    if changed.name != before.name:
        _require_renamable(before)
    same = Namespace.objects.filter(registry=before.registry_id, name=changed.name).exclude(pk=before.pk)
    taken = field_problem("name", "Name has already been taken", "unique")
    save_once(changed, same, taken, update_fields=["name", "description", "updated_at"])
    if changed.description != before.description:
        record(
            "namespace.change_namespace_description", changed, changed,
            actor=actor, old=before.description, new=changed.description,
        )  # fmt: skip
    if changed.name != before.name:
        record("namespace.change_namespace_name", changed, changed, actor=actor, old=before.name, new=changed.name)
    namespace.name, namespace.description, namespace.updated_at = changed.name, changed.description, changed.updated_at


def _require_renamable(namespace: Namespace) -> None:
    if namespace.is_global:
        raise field_problem("name", "The global namespace has no name of its own.", "global_name")
    if namespace.repositories.exists():
        raise field_problem(
            "name", "This namespace has repositories, which keep their names in the registry.", "not_empty"
        )


@transaction.atomic
def move_namespace(namespace: Namespace, team: Team, *, actor: User) -> None:
    """Give a namespace to another team; raise ValidationError for a hidden one, and for the global namespace."""
    if namespace.team_id == team.pk:
        return
    if team.hidden or namespace.is_global:
        raise field_problem("team", "This namespace cannot go to that team.", "hidden")
    old, namespace.team = namespace.team, team
    namespace.save(update_fields=["team", "updated_at"])
    record(
        "namespace.change_team", namespace,
        actor=actor, old=old.pk if old else None, new=team.pk, old_team=old.name if old else "", team=team.name,
    )  # fmt: skip


@transaction.atomic
def create_personal_namespace(user: User, registry: Registry) -> Namespace | None:
    """Give a person a private namespace with a hidden team of her own in a registry, once; a bot gets none.

    It is named after her, or after her number where no namespace name can be made of her user name.
    """
    if user.bot or Namespace.objects.filter(registry=registry, personal_owner=user).exists():
        return None
    try:
        wanted = namespace_name_for(user.username)
    except ValidationError:  # nobody can sign up like this, but names were changed in other databases
        wanted = f"user{user.pk}"
    team = _hidden_team(user.username, [user], f"The team of {user.username}'s personal namespace.")
    return _create_named(
        wanted,
        lambda name: Namespace.objects.filter(registry=registry, name=name).exists(),
        lambda name: Namespace.objects.create(
            name=name,
            registry=registry,
            team=team,
            personal_owner=user,
            visibility=Visibility.PRIVATE,
            description=f"The personal namespace of {user.username}.",
        ),
    )


@transaction.atomic
def create_global_namespace(registry: Registry) -> Namespace:
    """Create the public namespace of all repositories without a prefix, owned by the administrators' hidden team.

    Disabled administrators are among them: they may be enabled again.
    """
    number = Registry.objects.count()
    admins = list(User.objects.filter(admin=True))
    team = _hidden_team(f"portus_global_team_{number}", admins, f"Administrators of {registry.name}.")
    return Namespace.objects.create(
        name=f"portus_global_namespace_{number}",
        registry=registry,
        team=team,
        global_marker=True,
        visibility=Visibility.PUBLIC,
        description=f"Repositories of {registry.name} that have no namespace in front of their name.",
    )


def namespace_name_for(username: str) -> str:
    """Return the namespace name nearest to a user name; raise ValidationError when nothing usable is left of it.

    Portus 2.4 made a hyphen an underscore and let backslashes through by a slip; neither happens here.
    """
    name = re.sub(r"[^a-z0-9._-]", "_", username.lower())
    name = re.sub(r"[._-]{2,}", "_", name).strip("._-")[:LONGEST_NAME].rstrip("._-")
    if not name:
        raise ValidationError(
            {"username": ValidationError("No namespace name can be made of this name: use letters a-z or digits.",
                                         code="no_namespace", params={"name": username})}
        )  # fmt: skip
    return name


def _hidden_team(name: str, owners: list[User], description: str) -> Team:
    team = _create_named(
        name,
        lambda name: Team.objects.filter(name=name).exists(),
        lambda name: Team.objects.create(name=name, hidden=True, description=description),
    )
    Membership.objects.bulk_create(Membership(team=team, user=owner, role=Role.OWNER) for owner in owners)
    return team


def _create_named(wanted: str, is_taken: Callable[[str], bool], create: Callable[[str], _Row]) -> _Row:
    """Create under the first free name, also when somebody else takes one at this very moment."""
    while True:
        name = _free_name(wanted, is_taken)
        try:
            with transaction.atomic():
                return create(name)
        except IntegrityError:
            if not is_taken(name):
                raise


def _free_name(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """Return `wanted`, or with the first number behind it that makes it free."""
    name, number = wanted, 0
    while is_taken(name):
        suffix = str(number)
        name = wanted[: LONGEST_NAME - len(suffix)] + suffix
        number += 1
    return name
