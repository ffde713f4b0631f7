"""Where the views are."""

from django.urls import path

from shop import views

urlpatterns = [
    path("products/<int:pk>", views.product),
    path("catalogue", views.catalogue),
    path("health", views.health),
]
