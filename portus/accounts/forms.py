from allauth.account import forms as allauth_forms


class SignInForm(allauth_forms.LoginForm): ...  # type: ignore[misc]


class SignUpForm(allauth_forms.SignupForm): ...  # type: ignore[misc]


class ChangePasswordForm(allauth_forms.ChangePasswordForm): ...  # type: ignore[misc]
