from django.urls import path

from portus.repositories import views

urlpatterns = [
    path("repositories", views.index, name="repositories"),
]
