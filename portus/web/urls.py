from django.urls import path

from portus.web import views

urlpatterns = [
    path("", views.home, name="home"),
    path("robots.txt", views.robots),
]
