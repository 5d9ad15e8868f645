from allauth.account import views as allauth_views
from django.urls import path

urlpatterns = [
    path("sign_in", allauth_views.login, name="account_login"),
    path("sign_out", allauth_views.logout, name="account_logout"),
    path("sign_up", allauth_views.signup, name="account_signup"),
]
