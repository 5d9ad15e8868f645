"""Who may do what, and who may see what. Nothing else decides it.

Every rule stands once, as a function of a `Standing`: the page and the API build one with `standing()`, the token
service builds all that a request needs in one statement. `visible_*` lists exactly what `can_show_*` opens.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet

from portus.accounts.models import User, Visitor
from portus.config import PushPolicy
from portus.repositories.models import Repository
from portus.teams.models import Membership, Namespace, Role, Team, Visibility


class Kind(Enum):
    """The three kinds of namespaces, as far as rights go."""

    GLOBAL = auto()
    PERSONAL = auto()
    TEAM = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asks, and how she stands to one namespace."""

    user_id: int | None
    admin: bool
    kind: Kind
    visibility: Visibility
    role: Role | None  # in the team that has the namespace
    owns_personal: bool = False  # it is her own personal namespace, whoever's team it is in now

    @property
    def authenticated(self) -> bool:
        return self.user_id is not None


class HasAdminFlag(Protocol):
    @property
    def admin(self) -> bool: ...


def require(allowed: bool) -> None:
    """Raise PermissionDenied unless `allowed`."""
    if not allowed:
        raise PermissionDenied


def standing(user: Visitor, namespace: Namespace) -> Standing:
    """Return how `user` stands to `namespace`; one query for somebody who is signed in."""
    return Standing(
        user_id=user.pk,
        admin=_is_admin(user),
        kind=kind_of(is_global=namespace.is_global, personal_owner_id=namespace.personal_owner_id),
        visibility=Visibility(namespace.visibility),
        role=role_in(user, namespace.team_id),
        owns_personal=user.is_authenticated and namespace.personal_owner_id == user.pk,
    )


def standing_in_team(user: Visitor, team: Team) -> Standing:
    """Return how `user` would stand to a new namespace of a team; one query."""
    return Standing(
        user_id=user.pk,
        admin=_is_admin(user),
        kind=Kind.TEAM,
        visibility=Visibility.PRIVATE,
        role=role_in(user, team),
    )


def kind_of(*, is_global: bool, personal_owner_id: int | None) -> Kind:
    if is_global:
        return Kind.GLOBAL
    return Kind.TEAM if personal_owner_id is None else Kind.PERSONAL


# Namespaces, and what lies below them


def can_pull(standing: Standing) -> bool:
    if standing.visibility is Visibility.PUBLIC:
        return True
    if not standing.authenticated:
        return False
    return (
        standing.visibility is Visibility.PROTECTED
        or standing.kind is Kind.GLOBAL
        or standing.admin
        or standing.role is not None
    )


# Opening the page of a namespace, a repository or a tag, and pulling from it, are one question.
can_show = can_pull


def can_push(standing: Standing) -> bool:
    """The three push policies. A value that is none of them stops the start; should one get here, nobody pushes."""
    if not standing.authenticated:
        return False
    match settings.PORTUS.user_permission.push_images.policy:
        case PushPolicy.ALLOW_TEAMS:
            return standing.admin or standing.role in {Role.CONTRIBUTOR, Role.OWNER}
        case PushPolicy.ALLOW_PERSONAL:
            return standing.admin or standing.owns_personal
        case PushPolicy.ADMIN_ONLY:
            return standing.admin
    return False


def can_delete(standing: Standing) -> bool:
    """May she delete what lies in the namespace: tags, images, repositories."""
    if not standing.authenticated or not settings.PORTUS.delete.enabled:
        return False
    return (
        standing.admin
        or standing.role is Role.OWNER
        or (standing.role is Role.CONTRIBUTOR and settings.PORTUS.delete.contributors)
    )


def can_do_everything(standing: Standing) -> bool:
    """What `*` in a token means to a registry: every action, not the deletion alone that old ones ask it for."""
    return can_pull(standing) and can_push(standing) and can_delete(standing)


def can_delete_namespace(standing: Standing) -> bool:
    """May she delete the namespace itself. That a personal one stays is a rule of the operation, with its own words."""
    return standing.kind is not Kind.GLOBAL and can_delete(standing)


def can_create_namespace(standing: Standing) -> bool:
    allowed = standing.admin or settings.PORTUS.user_permission.create_namespace.enabled
    return allowed and can_push(standing)


def can_update_namespace(standing: Standing) -> bool:
    return can_change_team(standing) and can_push(standing)


def can_change_team(standing: Standing) -> bool:
    """May she move the namespace away from its team. The team that receives it is asked apart."""
    manages = settings.PORTUS.user_permission.manage_namespace.enabled
    return standing.admin or (manages and standing.role is Role.OWNER)


def can_change_visibility(standing: Standing) -> bool:
    if standing.admin:
        return True
    allowed = settings.PORTUS.user_permission.change_visibility.enabled
    return allowed and standing.kind is not Kind.GLOBAL and standing.role is Role.OWNER


def can_use_catalog(user: HasAdminFlag | None) -> bool:
    """May she ask the registry for the list of all its repositories."""
    return user is not None and user.admin


def visible_namespaces(user: Visitor) -> QuerySet[Namespace]:
    """Namespaces listed for `user`: exactly those that she may open."""
    return Namespace.objects.filter(_open_to(user, prefix=""))


def visible_repositories(user: Visitor) -> QuerySet[Repository]:
    """Repositories listed for `user`: exactly those that she may open and pull from."""
    return Repository.objects.filter(_open_to(user, prefix="namespace__"))


def can_show_repository(user: Visitor, repository: Repository) -> bool:
    return can_show(standing(user, repository.namespace))


def can_browse(user: Visitor) -> bool:
    """May she look at pages of the catalogue at all; what she sees there is another question."""
    return user.is_authenticated or settings.PORTUS.anonymous_browsing.enabled


def _open_to(user: Visitor, *, prefix: str) -> Q:
    """`can_show` as a condition on rows whose namespace is reached by `prefix`."""
    if isinstance(user, User) and user.admin:
        return Q()
    public = Q(**{f"{prefix}visibility": Visibility.PUBLIC})
    if not user.is_authenticated:
        return public
    mine = Membership.objects.filter(user=user, team=OuterRef(f"{prefix}team"))
    return (
        public
        | Q(**{f"{prefix}visibility": Visibility.PROTECTED})
        | Q(**{f"{prefix}global_marker": True})
        | Q(Exists(mine))
    )


# Teams


def role_in(user: Visitor, team: Team | int | None) -> Role | None:
    """Return the role of `user` in a team, or None; one query for somebody who is signed in."""
    if not user.is_authenticated or team is None:
        return None
    role = Membership.objects.filter(team=team, user=user).values_list("role", flat=True).first()
    return None if role is None else Role(role)


def can_show_team(user: Visitor, team: Team) -> bool:
    """Hidden teams have no page: not even for administrators."""
    return not team.hidden and (_is_admin(user) or role_in(user, team) is not None)


def visible_teams(user: Visitor) -> QuerySet[Team]:
    """Teams listed for `user`: exactly those that she may open."""
    teams = Team.objects.not_hidden()
    if _is_admin(user):
        return teams
    if not user.is_authenticated:
        return teams.none()
    return teams.filter(Exists(Membership.objects.filter(user=user, team=OuterRef("pk"))))


def can_create_team(user: Visitor) -> bool:
    return user.is_authenticated and (_is_admin(user) or settings.PORTUS.user_permission.create_team.enabled)


def can_update_team(user: Visitor, team: Team) -> bool:
    if team.hidden:
        return False
    manages = settings.PORTUS.user_permission.manage_team.enabled
    return _is_admin(user) or (manages and role_in(user, team) is Role.OWNER)


# Managing members is managing the team: 2.4 hid the buttons when `manage_team` was off, but went on accepting requests.
can_manage_members = can_update_team


def can_read_team(user: Visitor, team: Team) -> bool:
    """May she see who and what belongs to a team: members may, of hidden teams too."""
    return _is_admin(user) or role_in(user, team) is not None


def can_remove_member(user: Visitor, membership: Membership) -> bool:
    """Those who manage members may, and everybody may leave."""
    leaves = user.is_authenticated and user.pk == membership.user_id and not membership.team.hidden
    return leaves or can_manage_members(user, membership.team)


def can_give_to(user: Visitor, team: Team) -> bool:
    """May she move a namespace into this team: in Portus 2.4 everybody could, into hidden ones too."""
    return not team.hidden and (_is_admin(user) or role_in(user, team) is Role.OWNER)


def _is_admin(user: Visitor) -> bool:
    return isinstance(user, User) and user.admin


# Accounts


def can_manage_tokens(user: Visitor, owner: User) -> bool:
    """A person's application tokens are that person's, and the administrators'; a bot's are the administrators'."""
    return _is_admin(user) or (user.is_authenticated and user.pk == owner.pk and not owner.bot)


def can_manage_users(user: Visitor) -> bool:
    return _is_admin(user)


def can_disable_user(user: Visitor, other: User) -> bool:
    """Administrators may, and people themselves. That one administrator stays is a rule of the operation."""
    return _is_admin(user) or (user.is_authenticated and user.pk == other.pk and not other.bot)


def can_change_admin(user: Visitor, other: User) -> bool:
    """May she promote and demote: others, not herself."""
    return _is_admin(user) and user.pk != other.pk


# Nor does anybody delete the account with which she is asking for it.
can_delete_user = can_change_admin


def can_edit_profile(user: Visitor) -> bool:
    """People may change their own address and password; what a bot is called is the administrators' business."""
    return isinstance(user, User) and not user.bot
