from django.urls import path

from portus.repositories import views

urlpatterns = [
    path("repositories", views.index, name="repositories"),
    path("repositories/<int:repository_id>", views.show, name="repository"),
    path("explore", views.explore, name="explore"),
]
