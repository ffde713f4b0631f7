"""What a shop keeps: users in teams, who read books."""
# ruff: noqa: DJ008  nobody looks at them

from __future__ import annotations

from django.db import models


class Team(models.Model):
    """A team."""

    name = models.CharField(max_length=50)


class Book(models.Model):
    """A book."""

    title = models.CharField(max_length=50)


class User(models.Model):
    """Somebody of a team."""

    name = models.CharField(max_length=50)
    team = models.ForeignKey(Team, models.CASCADE, null=True)
    books = models.ManyToManyField(Book)


class Guest(User):
    """A user by another class, over the same table."""

    class Meta:
        """Nothing of its own."""

        proxy = True


class Staff(User):
    """A user with a row of its own besides."""

    desk = models.CharField(max_length=50, default="")


class Shelf(models.Model):
    """A shelf, named by its code in the table in between; shelves stand beside each other."""

    code = models.CharField(max_length=50, unique=True)
    owner = models.OneToOneField(User, models.CASCADE, null=True)
    books = models.ManyToManyField(Book, through="Place")
    beside = models.ManyToManyField("self")


class Place(models.Model):
    """Where a book stands."""

    shelf = models.ForeignKey(Shelf, models.CASCADE, to_field="code")
    book = models.ForeignKey(Book, models.CASCADE)
