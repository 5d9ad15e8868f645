from typing import Any

from allauth.account.views import LoginView, LogoutView, SignupView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from portus import policy
from portus.accounts import operations
from portus.accounts.backends import RETRY_AFTER_SECONDS, Outcome, client_address
from portus.accounts.forms import ChangePasswordForm, DetailsForm, TokenForm, add_errors, is_busy
from portus.accounts.models import TOKENS_PER_USER, ApplicationToken, User
from portus.teams.namespaces import namespace_name_for
from portus.web.forms import only_a_form_of
from portus.web.htmx import render_page_or, sign_in_required


class SignInView(LoginView):  # type: ignore[misc]
    template_name = "accounts/sign_in.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.PORTUS.signup.enabled and is_first_user():
            query = {"next": self.get_next_url()} if self.get_next_url() else {}
            return redirect(f"{reverse('account_signup')}?{urlencode(query)}" if query else "account_signup")
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not takes_passwords():
            raise PermissionDenied
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        return refuse(self.render_to_response(self.get_context_data(form=form)), form)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return {**super().get_context_data(**context), "takes_passwords": takes_passwords()}


class SignUpView(SignupView):  # type: ignore[misc]
    template_name = "accounts/sign_up.html"

    def closed(self) -> HttpResponse:
        raise Http404

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except ValidationError as error:
            add_errors(form, error)
            return self.form_invalid(form)
        except operations.TryLater as later:
            form.add_error(None, ValidationError(str(later), code=Outcome.BUSY.name))
            response = self.form_invalid(form)
            response["Retry-After"] = str(later.seconds)
            return response
        messages.success(self.request, welcome(self.user))
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        return refuse(self.render_to_response(self.get_context_data(form=form)), form)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        first = is_first_user()
        becomes_admin = first and settings.PORTUS.first_user_admin.enabled
        return {**super().get_context_data(**context), "first": first, "becomes_admin": becomes_admin}


class SignOutView(LogoutView):  # type: ignore[misc]
    template_name = "accounts/sign_out.html"

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post(*args, **kwargs)
        messages.success(self.request, "You are signed out.")
        return response

    delete = post  # the method of Portus 2.4


sign_in = SignInView.as_view()
sign_up = SignUpView.as_view()
sign_out = SignOutView.as_view()


def is_first_user() -> bool:
    return not User.objects.exists()


def takes_passwords() -> bool:
    return bool(settings.PORTUS.oauth.local_login.enabled)


def refuse(response: HttpResponse, form: Any) -> HttpResponse:
    response.status_code = 422
    if is_busy(form):
        response.status_code = 429
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def welcome(user: User) -> str:
    """Greet somebody new with the name of her namespace, and the reason when it is not her own name."""
    words = f"Welcome, {user.username}."
    if user.admin:
        words += " You are the administrator."
    namespace = user.personal_namespaces.order_by("registry").first()
    if namespace is None:
        return words
    words += f" Your personal namespace is {namespace.name}."
    if namespace_name_for(user.username) != user.username:
        words += " Your user name itself has characters that registries do not accept."
    if namespace.name != namespace_name_for(user.username):
        words += f" The name {namespace_name_for(user.username)} was taken."
    return words


@require_safe
@never_cache
@sign_in_required
def profile(request: HttpRequest) -> HttpResponse:
    return render_profile(request)


@sensitive_post_parameters()
@only_a_form_of("profile")
@never_cache
@sign_in_required
def change_details(request: HttpRequest) -> HttpResponse:
    form = DetailsForm(signed_in(request), request.POST)
    if not saved(form):
        return render_profile(request, details=form)
    messages.success(request, "Your details are saved.")
    return redirect("profile")


@sensitive_post_parameters()
@only_a_form_of("profile")
@never_cache
@sign_in_required
def change_password(request: HttpRequest) -> HttpResponse:
    form = ChangePasswordForm(signed_in(request), request.POST, address=client_address(request))
    if not saved(form):
        return render_profile(request, password=form)
    update_session_auth_hash(request, form.user)
    messages.success(
        request,
        "Your password is changed, and all your other sessions have ended."
        " Where you used it for docker login, log in again.",
    )
    return redirect("profile")


@only_a_form_of("profile")
@never_cache
@sign_in_required
def create_token(request: HttpRequest) -> HttpResponse:
    """Answer the page itself, not a redirect: so the value is kept nowhere, and gone when the page is."""
    user = signed_in(request)
    policy.require(policy.can_manage_tokens(user, user))
    form = TokenForm(request.POST)
    if not form.is_valid():
        return render_profile(request, token=form)
    try:
        token, value = operations.create_token(user, **form.cleaned_data, actor=user)
    except ValidationError as error:
        add_errors(form, error)
        return render_profile(request, token=form)
    return render_profile(request, created=token, value=value)


@only_a_form_of("profile")
@never_cache
@sign_in_required
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    user = signed_in(request)
    # Somebody else's token is not found: whether there is one under this number is nobody's business.
    token = get_object_or_404(ApplicationToken, pk=token_id, user=user)
    policy.require(policy.can_manage_tokens(user, token.user))
    operations.revoke_token(token, actor=user)
    messages.success(request, f"The token {token.application} is revoked.")
    return redirect("profile")


def signed_in(request: HttpRequest) -> User:
    """Return the user of a request that `sign_in_required` has let pass."""
    assert isinstance(request.user, User)  # noqa: S101 - narrows the type; nobody else gets here
    return request.user


def saved(form: DetailsForm | ChangePasswordForm) -> bool:
    """Save what was entered; return whether nothing was wrong with it."""
    if form.is_valid():
        try:
            form.save()
        except ValidationError as error:
            add_errors(form, error)
    return form.is_valid()


def render_profile(
    request: HttpRequest,
    *,
    details: DetailsForm | None = None,
    password: ChangePasswordForm | None = None,
    token: TokenForm | None = None,
    created: ApplicationToken | None = None,
    value: str = "",
) -> HttpResponse:
    user = User.objects.get(pk=signed_in(request).pk)  # as it is stored, whatever a refused form has put on the other
    tokens = list(user.application_tokens.order_by("application"))
    context = {
        "person": user,
        "details": details or DetailsForm(user),
        "password": password or ChangePasswordForm(user),
        "token_form": token or TokenForm(),
        "tokens": tokens,
        "most_tokens": TOKENS_PER_USER,
        "full": len(tokens) >= TOKENS_PER_USER,
        "created": created,
        "value": value,
    }
    refused = details or password or token
    response = render_page_or(
        request, "accounts/_tokens.html", "accounts/profile.html", context, status=422 if refused else 200
    )
    return refuse(response, refused) if refused else response
