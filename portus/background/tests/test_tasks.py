from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from portus.accounts.models import SignInFailure
from portus.background import tasks

pytestmark = pytest.mark.django_db


def test_the_sweep_throws_away_what_no_longer_counts(cast):
    now = timezone.now()
    for name, ends in (("over", now - timedelta(seconds=1)), ("open", now + timedelta(hours=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=ends)
    for name, failed in (("old", now - timedelta(minutes=11)), ("recent", now - timedelta(minutes=9))):
        SignInFailure.objects.create(name_key=name, fingerprint="0", failed_at=failed)

    tasks.sweep()

    assert [session.session_key for session in Session.objects.all()] == ["open"]
    assert [failure.name_key for failure in SignInFailure.objects.all()] == ["recent"]
