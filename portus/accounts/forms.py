from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from portus.accounts import operations
from portus.accounts.backends import Outcome, check_password, client_address
from portus.accounts.models import LONGEST_PASSWORD, User, check_email, check_username

REASONS = {
    Outcome.WRONG: "User name or password is wrong.",
    Outcome.LOCKED: "Too many wrong passwords for this name. Try again in ten minutes.",
    Outcome.DISABLED: "This account has been disabled. Ask an administrator.",
    Outcome.BUSY: "Too many people are signing in at this moment. Try again in a few seconds.",
}


def refusal(outcome: Outcome) -> ValidationError:
    return ValidationError(REASONS[outcome], code=outcome.name)


def is_busy(form: forms.BaseForm) -> bool:
    """Return whether a form was refused only because there was no time for it."""
    return any(form.has_error(field, Outcome.BUSY.name) for field in form.errors)


def add_errors(form: forms.BaseForm, error: ValidationError) -> None:
    """Put what an operation objects to beside the fields it concerns, or above the form."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    for field, errors in by_field.items():
        form.add_error(field if field in form.fields else None, errors)


class PasswordField(forms.CharField):
    def __init__(self, label: str, *, autocomplete: str, **options: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
        super().__init__(label=label, widget=widget, strip=False, **options)


class EmailField(forms.CharField):
    """By our own rule: Django's refuses hosts without a dot."""

    def __init__(self) -> None:
        widget = forms.EmailInput(attrs={"autocomplete": "email"})
        super().__init__(label="E-mail", max_length=254, validators=[check_email], widget=widget)


class SignInForm(LoginForm):  # type: ignore[misc]
    """allauth's form; who may pass, and why not, is said by the adapter."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **options})
        self.fields["password"] = PasswordField("Password", autocomplete="current-password")
        self.fields["login"].label = "User name"
        self.fields["login"].widget.attrs = {
            "autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True,
        }  # fmt: skip


class SignUpForm(forms.Form):
    """What a person says of herself. Nothing else that is sent is read: nobody names herself administrator."""

    username = forms.CharField(
        label="User name",
        max_length=255,
        validators=[check_username],
        help_text="You sign in with it, here and on the command line.",
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    email = EmailField()
    password = PasswordField("Password", autocomplete="new-password", help_text=f"8 to {LONGEST_PASSWORD} characters.")
    password_confirmation = PasswordField("Password again", autocomplete="new-password")

    by_passkey = False  # asked by allauth's view

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **options})

    def clean_password(self) -> str:
        """Checked here too, so that a person sees at once everything that is wrong."""
        password: str = self.cleaned_data["password"]
        validate_password(password)
        return password

    def clean(self) -> dict[str, Any]:
        check_same(self, "password", "password_confirmation")
        return self.cleaned_data

    def try_save(self, request: HttpRequest) -> tuple[User, None]:
        """Create the account. Raises ValidationError, which the view puts beside the fields, and TryLater."""
        chosen = {name: self.cleaned_data[name] for name in ("username", "email", "password")}
        return operations.sign_up(**chosen, address=client_address(request)), None


class DetailsForm(forms.Form):
    email = EmailField()
    display_name = forms.CharField(
        label="Display name",
        max_length=255,
        required=False,
        help_text="What others see in place of your user name. It may stay empty.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        now = {"email": user.email, "display_name": user.display_name}
        super().__init__(data, initial=now, label_suffix="", prefix="details")
        self.user = user
        if not settings.PORTUS.display_name.enabled:
            del self.fields["display_name"]

    def save(self) -> None:
        """Raises ValidationError for an address or a name that somebody else has."""
        display_name = self.cleaned_data.get("display_name", self.user.display_name or "")
        operations.update_user(self.user, email=self.cleaned_data["email"], display_name=display_name, actor=self.user)


class ChangePasswordForm(forms.Form):
    current = PasswordField("Current password", autocomplete="current-password")
    password = PasswordField(
        "New password", autocomplete="new-password", help_text=f"8 to {LONGEST_PASSWORD} characters."
    )
    confirmation = PasswordField("New password again", autocomplete="new-password")

    def __init__(self, user: User, data: Any = None, *, address: str = "") -> None:
        super().__init__(data, label_suffix="", prefix="password")
        self.user = user
        self.address = address  # of the client

    def clean_current(self) -> str:
        """Checked as at the sign-in, so that wrong ones count as they do there."""
        current: str = self.cleaned_data["current"]
        check_current_password(self.user, current, address=self.address)
        return current

    def clean(self) -> dict[str, Any]:
        check_same(self, "password", "confirmation")
        return self.cleaned_data

    def save(self) -> None:
        """Raises ValidationError for a password that breaks the rules."""
        operations.change_password(self.user, self.cleaned_data["password"], actor=self.user)


class TokenForm(forms.Form):
    application = forms.CharField(
        label="What is it for?",
        max_length=255,
        help_text="For example the machine or the pipeline that will use it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="", prefix="token")


def check_current_password(user: User, current: str, *, address: str) -> None:
    """Raise ValidationError unless this is the password of somebody who is signed in."""
    outcome, found = check_password(user.username, current, address=address)
    if found is None:
        message = "This is not your current password." if outcome is Outcome.WRONG else REASONS[outcome]
        raise ValidationError(message, code=outcome.name)


def check_same(form: forms.Form, password: str, again: str) -> None:
    entered = form.cleaned_data
    if password in entered and again in entered and entered[password] != entered[again]:
        form.add_error(again, "The two passwords differ.")
