"""Texts that look alike are different, on each of the three databases."""

import pytest
from django.db import IntegrityError, transaction

pytestmark = pytest.mark.django_db

ALIKE = ["tag", "TAG", "v1", "v1 ", "é", "e\N{COMBINING ACUTE ACCENT}", "e"]


def test_names_that_look_alike_stand_beside_each_other(cast, make_namespace, make_repository, make_tag):
    repository = make_repository(namespace=make_namespace(team=cast.team))

    tags = {name: make_tag(repository, name) for name in ALIKE}

    assert repository.tags.count() == len(ALIKE)
    for name, tag in tags.items():
        assert repository.tags.get(name=name) == tag


def test_the_same_name_twice_does_not(cast, make_namespace, make_repository, make_tag):
    repository = make_repository(namespace=make_namespace(team=cast.team))
    make_tag(repository, "v1")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_tag(repository, "v1")
