from django.urls import path

from portus.accounts import views

urlpatterns = [
    path("sign_in", views.sign_in, name="account_login"),
    path("sign_out", views.sign_out, name="account_logout"),
    path("sign_up", views.sign_up, name="account_signup"),
    path("edit", views.profile, name="profile"),
    path("edit/details", views.change_details, name="change_details"),
    path("edit/password", views.change_password, name="change_password"),
    path("edit/tokens", views.create_token, name="create_token"),
    path("edit/tokens/<int:token_id>/revoke", views.revoke_token, name="revoke_token"),
]
