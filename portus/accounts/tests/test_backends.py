"""Who somebody is: what is refused and why, what a flood of wrong passwords does, and whom it does not hurt."""

import base64
import contextlib
import statistics
import threading
import time
from datetime import timedelta

import bcrypt
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portus.accounts import backends, hashing
from portus.accounts.backends import (
    Account,
    Outcome,
    PasswordBackend,
    authenticate_basic,
    check_password,
    is_locked,
    parse_basic,
)
from portus.accounts.hashing import Room, make_room
from portus.accounts.models import ApplicationToken, SignInFailure, User
from portus.accounts.operations import create_token
from portus.testing import at_once

pytestmark = pytest.mark.django_db


def encoded(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def token(cast):
    return create_token(cast.alice, "tests", actor=cast.alice)[1]


@pytest.fixture
def hashes(monkeypatch):
    """Count the passwords that are hashed or compared; each takes its time."""
    done = []
    for name in ("make_password", "verify_password"):
        real = getattr(backends, name)

        def counted(*arguments, real=real, name=name):
            done.append(name)
            return real(*arguments)

        monkeypatch.setattr(backends, name, counted)
    return done


# The header


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        (f"Basic {encoded('alice:secret')}", ("alice", "secret")),
        (f"basic {encoded('alice:secret')}", ("alice", "secret")),
        (f"BASIC   {encoded('alice:secret')}  ", ("alice", "secret")),
        (f"Basic {encoded('alice:a:b:c')}", ("alice", "a:b:c")),
        (f"Basic {encoded('alice:')}", ("alice", "")),
        (f"Basic {encoded(':secret')}", ("", "secret")),
        (f"Basic {encoded(':')}", ("", "")),
        (f"Basic {encoded('Zoë:pässwörd')}", ("Zoë", "pässwörd")),
        (f"Basic {encoded('alice:a%00b')}", ("alice", "a%00b")),
        ("", None),
        ("Basic", None),
        ("Basic ", None),
        (f"Basic {encoded('alice')}", None),
        (f"Basic {encoded('alice:secret')[:-1]}", None),
        (f"Basic {encoded('alice:secret')}!", None),
        (f"Basic {encoded('alice:secret')} x", None),
        ("Basic alice:secret", None),
        ("Basic \xff\xfe", None),
        (f"Basic {encoded(b'al' + bytes([0xFF]) + b':secret')}", None),
        (f"Basic {encoded(b'al' + bytes(1) + b'ice:secret')}", None),
        (f"Bearer {encoded('alice:secret')}", None),
        (encoded("alice:secret"), None),
    ],
)
def test_the_header(header, parsed):
    assert parse_basic(header) == parsed


# Passwords


@pytest.mark.parametrize("username", ["alice", "ALICE", "Alice", "\uff41lice"])
def test_the_right_password_under_each_way_of_writing_the_name(cast, password, username):
    assert authenticate_basic(username, password) == (Outcome.OK, Account(cast.alice.pk, "alice", admin=False))
    assert check_password(username, password) == (Outcome.OK, cast.alice)


def test_an_administrator_is_said_to_be_one(cast, password):
    assert authenticate_basic("ada", password) == (Outcome.OK, Account(cast.ada.pk, "ada", admin=True))


@pytest.mark.parametrize(
    ("username", "tried"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("alice", "A password of tests"),
        ("alice", "a password of tests "),
        ("alice", "x" * 129),
        ("alice", "a\0b"),
        ("alice", "\ud800"),
        ("nobody", "a password of tests"),
        ("", "a password of tests"),
        ("", ""),
        ("alice\0", "a password of tests"),
        ("\ud800", "a password of tests"),
        ("x" * 100_000, "a password of tests"),
        ("\ufdfa" * 255, "a password of tests"),
        (" alice", "a password of tests"),
        ("alice ", "a password of tests"),
    ],
)
def test_what_is_wrong(cast, username, tried):
    assert authenticate_basic(username, tried) == (Outcome.WRONG, None)
    assert check_password(username, tried) == (Outcome.WRONG, None)
    assert PasswordBackend().authenticate(None, username, tried) is None


def test_djangos_own_door(cast, password):
    backend = PasswordBackend()

    assert backend.authenticate(None, "alice", password) == cast.alice
    assert backend.authenticate(None, None, password) is None
    assert backend.authenticate(None, "alice", None) is None
    assert backend.get_user(cast.alice.pk) == cast.alice
    assert backend.get_user(0) is None


# Bots and disabled users


def test_a_bots_password_opens_nothing_and_its_token_does(cast, make_user, password):
    robot = make_user("robot", bot=True)
    value = create_token(robot, "builds", actor=cast.ada)[1]

    assert authenticate_basic("robot", password)[0] is Outcome.WRONG
    assert check_password("robot", password)[0] is Outcome.WRONG
    assert authenticate_basic("robot", value)[0] is Outcome.OK


def test_a_disabled_user_is_told_only_what_she_has_proved(cast, password, token):
    User.objects.filter(pk=cast.alice.pk).update(is_active=False)

    assert authenticate_basic("alice", password) == (Outcome.DISABLED, None)
    assert authenticate_basic("alice", token) == (Outcome.DISABLED, None)
    assert check_password("alice", password) == (Outcome.DISABLED, None)
    assert authenticate_basic("alice", "wrong") == (Outcome.WRONG, None)
    assert PasswordBackend().authenticate(None, "alice", password) is None
    assert PasswordBackend().get_user(cast.alice.pk) is None
    assert ApplicationToken.objects.get().last_used_at is None


def test_disabling_takes_effect_although_the_verdict_is_remembered(cast, password):
    assert authenticate_basic("alice", password)[0] is Outcome.OK
    User.objects.filter(pk=cast.alice.pk).update(is_active=False)

    assert authenticate_basic("alice", password)[0] is Outcome.DISABLED


# Application tokens


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(None, Outcome.OK), (60, Outcome.OK), (-1, Outcome.WRONG), (-86400, Outcome.WRONG)]
)
def test_a_token_until_it_expires(cast, token, seconds, outcome):
    expiry = None if seconds is None else timezone.now() + timedelta(seconds=seconds)
    ApplicationToken.objects.update(expires_at=expiry)

    assert authenticate_basic("alice", token)[0] is outcome


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda value: value[:-1], lambda value: value + " "])
def test_another_value_is_no_token(cast, token, change):
    assert authenticate_basic("alice", change(token))[0] is Outcome.WRONG


def test_a_token_belongs_to_its_user_and_opens_no_page(cast, token):
    assert authenticate_basic("bob", token)[0] is Outcome.WRONG
    assert check_password("alice", token)[0] is Outcome.WRONG


def test_a_token_costs_one_statement_and_no_hash(cast, token, hashes, django_assert_num_queries):
    authenticate_basic("alice", token)  # writes "last used"

    with django_assert_num_queries(1):
        assert authenticate_basic("alice", token)[0] is Outcome.OK
    assert hashes == []


# What is remembered


def test_a_verdict_is_found_once_a_minute(cast, password, hashes, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(backends, "_verdicts", verdicts_by(clock))
    for _ in range(3):
        assert authenticate_basic("alice", password)[0] is Outcome.OK
        assert check_password("alice", password)[0] is Outcome.OK
        assert authenticate_basic("alice", "wrong")[0] is Outcome.WRONG
    assert len(hashes) == 2

    clock.now += 59
    authenticate_basic("alice", password)
    assert len(hashes) == 2
    clock.now += 2
    authenticate_basic("alice", password)
    authenticate_basic("alice", "wrong")
    assert len(hashes) == 4


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def verdicts_by(clock):
    verdicts = backends._Verdicts()
    verdicts._known = type(verdicts._known)(maxsize=10, ttl=backends.VERDICT_SECONDS, timer=clock)
    return verdicts


def test_a_verdict_holds_for_one_name_only(cast, password, hashes):
    authenticate_basic("alice", password)
    authenticate_basic("bob", password)
    authenticate_basic("nobody", password)

    assert len(hashes) == 3


def test_a_changed_password_is_noticed_at_once(cast, password):
    assert authenticate_basic("alice", password)[0] is Outcome.OK
    assert authenticate_basic("alice", "the next one")[0] is Outcome.WRONG
    cast.alice.set_password("the next one")
    cast.alice.save()

    assert authenticate_basic("alice", password)[0] is Outcome.WRONG
    assert authenticate_basic("alice", "the next one")[0] is Outcome.OK


def test_nothing_that_is_remembered_is_a_password(cast, password):
    authenticate_basic("alice", password)

    kept = repr(dict(backends._verdicts._known))
    assert password not in kept
    assert cast.alice.password not in kept


@pytest.mark.django_db(transaction=True)
def test_requests_that_ask_the_same_at_once_take_one_place(make_user, password, hashes, monkeypatch):
    make_user("alice")
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=1, lobby=7, patience_seconds=1))

    outcomes = at_once([lambda: authenticate_basic("alice", password)[0]] * 8)
    wrong = at_once([lambda: authenticate_basic("alice", "wrong")[0]] * 8)

    assert outcomes == [Outcome.OK] * 8
    assert wrong == [Outcome.WRONG] * 8
    assert len(hashes) == 2
    assert SignInFailure.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_error_while_a_verdict_is_found_is_not_waited_for_again(make_user, password, monkeypatch):
    make_user("alice")
    real = backends.verify_password
    monkeypatch.setattr(backends, "verify_password", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        authenticate_basic("alice", password)

    monkeypatch.setattr(backends, "verify_password", real)
    assert authenticate_basic("alice", password)[0] is Outcome.OK


# Locks


def failures(name="alice"):
    return SignInFailure.objects.filter(name_key=name).count()


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_ten_different_passwords_lock_a_name(cast, name, password):
    for number in range(10):
        assert not is_locked(name)
        assert authenticate_basic(name, f"wrong {number}")[0] is Outcome.WRONG

    assert is_locked(name)
    assert authenticate_basic(name, password) == (Outcome.LOCKED, None)
    assert check_password(name.upper(), password) == (Outcome.LOCKED, None)
    assert authenticate_basic(name, "wrong 0")[0] is Outcome.LOCKED
    assert failures(name) == 10


def test_names_are_locked_one_by_one(cast, password):
    for number in range(12):
        authenticate_basic("alice", f"wrong {number}")

    assert authenticate_basic("bob", password)[0] is Outcome.OK


def test_one_wrong_password_over_and_over_counts_once(cast, password, monkeypatch):
    for _ in range(15):
        backends._verdicts.clear()  # a minute later
        authenticate_basic("alice", "the old one")
        check_password("ALICE", "the old one")

    assert failures() == 1
    assert authenticate_basic("alice", password)[0] is Outcome.OK


def test_an_empty_password_or_one_too_long_does_not_count(cast):
    for number in range(12):
        authenticate_basic("alice", "")
        authenticate_basic("alice", "x" * (129 + number))

    assert failures() == 0


def test_the_right_password_does_not_make_room_for_more_guesses(cast, password):
    # 2.4 began to count anew; a stranger could guess on after each sign-in of the owner's own machines.
    for number in range(9):
        authenticate_basic("alice", f"wrong {number}")

    assert authenticate_basic("alice", password)[0] is Outcome.OK
    assert failures() == 9
    assert authenticate_basic("alice", "wrong 9")[0] is Outcome.WRONG
    assert authenticate_basic("alice", password)[0] is Outcome.LOCKED


def test_a_lock_ends_ten_minutes_after_the_failures(cast, password):
    for number in range(10):
        authenticate_basic("alice", f"wrong {number}")
    SignInFailure.objects.update(failed_at=timezone.now() - timedelta(minutes=9, seconds=55))
    assert authenticate_basic("alice", password)[0] is Outcome.LOCKED

    SignInFailure.objects.update(failed_at=timezone.now() - timedelta(minutes=10, seconds=1))
    assert authenticate_basic("alice", password)[0] is Outcome.OK


def test_a_token_does_not_care_about_locks(cast, token, password):
    for number in range(10):
        authenticate_basic("alice", f"wrong {number}")

    assert authenticate_basic("alice", token)[0] is Outcome.OK
    assert authenticate_basic("alice", password)[0] is Outcome.LOCKED


def test_what_is_kept_of_a_wrong_password_does_not_give_it_away(cast):
    with CaptureQueriesContext(connection) as queries:
        authenticate_basic("alice", "a near miss")

    assert "a near miss" not in str([query["sql"] for query in queries])
    assert SignInFailure.objects.get().fingerprint.isalnum()
    authenticate_basic("bob", "a near miss")
    assert len(set(SignInFailure.objects.values_list("fingerprint", flat=True))) == 2


# A flood


@pytest.mark.django_db(transaction=True)
def test_a_flood_of_wrong_passwords_starves_nobody(make_user):
    """Three threads try passwords as fast as they can, for one name and for many; a build comes with its token."""
    alice = make_user("alice")
    value = create_token(alice, "build", actor=alice)[1]
    authenticate_basic("alice", value)
    over = threading.Event()
    seen = set()

    def flood(attacker):
        tried = 0
        while not over.is_set():
            name = "alice" if attacker == 0 else f"name-{attacker}-{tried}"
            seen.add(authenticate_basic(name, f"wrong {attacker} {tried}")[0])
            tried += 1

    def build():
        took = []
        try:
            while len(took) < 50:
                started = time.monotonic()
                assert authenticate_basic("alice", value)[0] is Outcome.OK
                took.append(time.monotonic() - started)
                time.sleep(0.02)
        finally:
            over.set()
        return took

    took = at_once([lambda: flood(0), lambda: flood(1), lambda: flood(2), build])[-1]

    assert isinstance(took, list), took
    assert statistics.median(took) < 0.3
    assert seen <= {Outcome.WRONG, Outcome.BUSY, Outcome.LOCKED}
    assert Outcome.WRONG in seen


@pytest.mark.django_db(transaction=True)
def test_few_are_hashed_at_once_and_few_wait(make_user, monkeypatch):
    make_user("alice")
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=3, patience_seconds=5))
    inside, most = [], []

    def slow(*_):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return False, False

    monkeypatch.setattr(backends, "verify_password", slow)

    def guess(number):
        return authenticate_basic("alice", f"wrong {number}", address=f"192.0.2.{number}")[0]

    outcomes = at_once([lambda number=number: guess(number) for number in range(8)])

    assert max(most) == 1
    assert outcomes.count(Outcome.WRONG) >= 3
    assert set(outcomes) == {Outcome.WRONG, Outcome.BUSY}
    assert failures() == outcomes.count(Outcome.WRONG)  # who was not heard has not failed


@pytest.fixture
def slow_hashes(monkeypatch):
    """Let a comparison last until the test says `over`; `begun` counts them."""
    begun, over = threading.Semaphore(0), threading.Event()
    real = backends.verify_password

    def slow(*arguments):
        begun.release()
        over.wait(10)
        return real(*arguments)

    monkeypatch.setattr(backends, "verify_password", slow)
    return begun, over


def guess(number, address):
    return authenticate_basic("alice", f"wrong {number}", address=address)[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("addresses", "other"),
    [
        (["192.0.2.1"] * 6, "192.0.2.2"),
        ([f"2001:db8::{number}" for number in range(6)], "2001:db8:0:1::1"),
        (["192.0.2.1", "::ffff:192.0.2.1"] * 3, "::ffff:192.0.2.2"),
    ],
    ids=["one address", "one IPv6 network", "written in two ways"],
)
def test_a_client_takes_one_place_and_leaves_the_others(
    make_user, password, monkeypatch, slow_hashes, addresses, other
):
    """Six connections of one client fill neither the room nor the threads; somebody else signs in meanwhile."""
    make_user("alice")
    monkeypatch.setattr(hashing, "room", Room(at_once=2, inside=2, lobby=1, patience_seconds=5))
    begun, over = slow_hashes
    refused = threading.Semaphore(0)

    def flood(number):
        outcome = guess(number, addresses[number])
        refused.release()
        return outcome

    def sign_in():
        assert begun.acquire(timeout=10)
        for _ in range(4):  # all but the one who is inside and the one who waits
            assert refused.acquire(timeout=3)
        threading.Timer(0.1, over.set).start()
        return authenticate_basic("alice", password, address=other)[0]

    *outcomes, signed_in = at_once([*(lambda number=number: flood(number) for number in range(6)), sign_in])

    assert signed_in is Outcome.OK
    assert sorted(outcomes, key=str) == [Outcome.BUSY] * 4 + [Outcome.WRONG] * 2


@pytest.mark.django_db(transaction=True)
def test_who_asks_what_is_being_found_waits_only_where_there_is_room(make_user, password, monkeypatch, slow_hashes):
    make_user("alice")
    monkeypatch.setattr(hashing, "room", Room(at_once=2, inside=2, lobby=1, patience_seconds=5))
    begun, over = slow_hashes
    done = []

    def ask():
        done.append(authenticate_basic("alice", password, address="192.0.2.1")[0])

    def wait():
        assert begun.acquire(timeout=10)
        deadline = time.monotonic() + 3
        while len(done) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        early = list(done)
        over.set()
        return early

    early = at_once([*[ask] * 6, wait])[-1]

    assert early == [Outcome.BUSY] * 4
    assert done[4:] == [Outcome.OK] * 2


@pytest.mark.django_db(transaction=True)
def test_two_behind_one_address_may_sign_in_at_the_same_moment(make_user, password, monkeypatch):
    make_user("alice")
    make_user("bob")
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=2, lobby=1, patience_seconds=5))

    outcomes = at_once(
        [lambda name=name: authenticate_basic(name, password, address="::1")[0] for name in ("alice", "bob")]
    )

    assert outcomes == [Outcome.OK] * 2


def test_a_place_is_free_again_after_an_error(cast, password, monkeypatch):
    monkeypatch.setattr(hashing, "room", Room(at_once=1, inside=1, patience_seconds=0))
    with monkeypatch.context() as broken:
        broken.setattr(backends, "verify_password", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            authenticate_basic("alice", password)

    assert authenticate_basic("alice", password)[0] is Outcome.OK


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5, 64])
@pytest.mark.parametrize("cores", [1, 64])
def test_hashing_leaves_a_thread_to_everybody_else(configure, monkeypatch, threads, cores):
    configure(**{"web.threads": threads})
    monkeypatch.setattr("os.cpu_count", lambda: cores)

    room = make_room()

    held = room._inside._value + room._lobby._value
    assert held <= max(1, threads - 1)


def test_who_waited_too_long_is_told_to_come_again(cast, password, monkeypatch):
    room = Room(at_once=1, inside=2, patience_seconds=0.05)
    monkeypatch.setattr(hashing, "room", room)

    with room._hashing:
        assert authenticate_basic("alice", password) == (Outcome.BUSY, None)
        assert check_password("alice", password) == (Outcome.BUSY, None)

    assert authenticate_basic("alice", password)[0] is Outcome.OK


# "Last used"


@pytest.mark.parametrize(("seconds", "written"), [(None, True), (61, True), (59, False), (0, False)])
def test_last_used_is_exact_to_a_minute(cast, token, seconds, written):
    before = None if seconds is None else timezone.now() - timedelta(seconds=seconds)
    ApplicationToken.objects.update(last_used_at=before)

    authenticate_basic("alice", token)

    after = ApplicationToken.objects.get().last_used_at
    assert (after != before) is written


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(settings.PORTUS.runtime.database.engine != "sqlite", reason="the others lock rows, not the file")
def test_last_used_is_left_for_the_next_time_while_sqlite_is_busy(make_user):
    alice = make_user("alice")
    value = create_token(alice, "build", actor=alice)[1]
    writing, over = threading.Event(), threading.Event()

    def write():
        with transaction.atomic():
            User.objects.filter(pk=alice.pk).update(email="new@test.lan")
            writing.set()
            over.wait(10)

    def ask():
        writing.wait(10)
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(over.set)
            outcome = authenticate_basic("alice", value)[0]
            took = time.monotonic() - started
        with connection.cursor() as cursor:
            return outcome, took, cursor.execute("PRAGMA busy_timeout").fetchone()[0]

    outcome, took, timeout = at_once([write, ask])[1]

    assert outcome is Outcome.OK
    assert took < 1
    assert ApplicationToken.objects.get().last_used_at is None
    assert timeout == 20_000
    authenticate_basic("alice", value)
    assert ApplicationToken.objects.get().last_used_at is not None


# Passwords of Portus 2.x


def imported(password, prefix=b"2a"):
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4, prefix=prefix))
    return f"bcrypt${hashed.decode()}"


@pytest.mark.parametrize("secret", ["secret123", "pässwörd", "x" * 72, "x" * 100, "ä" * 50])
@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_an_imported_password_is_taken_and_its_hash_replaced(make_user, secret, prefix):
    user = make_user("zoe", password=imported(secret, prefix))

    assert authenticate_basic("zoe", "x" * 128)[0] is (Outcome.OK if secret[:72] == "x" * 72 else Outcome.WRONG)
    user.password = imported(secret, prefix)
    user.save()
    assert authenticate_basic("zoe", "wrong" * 20)[0] is Outcome.WRONG
    assert User.objects.get(pk=user.pk).password.startswith("bcrypt$")
    assert authenticate_basic("zoe", secret)[0] is Outcome.OK

    assert User.objects.get(pk=user.pk).password.startswith("argon2$argon2id$")
    assert authenticate_basic("zoe", secret)[0] is Outcome.OK


def test_a_password_changed_while_its_hash_is_replaced_wins(make_user, monkeypatch):
    user = make_user("zoe", password=imported("secret123"))
    real = backends.make_password

    def change_meanwhile(password):
        User.objects.filter(pk=user.pk).update(password="changed meanwhile")
        return real(password)

    monkeypatch.setattr(backends, "make_password", change_meanwhile)

    assert authenticate_basic("zoe", "secret123")[0] is Outcome.OK
    assert User.objects.get(pk=user.pk).password == "changed meanwhile"


@pytest.mark.parametrize("stored", ["", "!", "!unusable", "nonsense", "bcrypt$", "bcrypt$x", "md5$a$b", "argon2$x"])
def test_a_hash_that_is_none_opens_nothing(make_user, stored):
    make_user("zoe", password=stored)

    for tried in ("wrong", stored or "x"):
        assert authenticate_basic("zoe", tried)[0] is Outcome.WRONG


# Time


def test_an_unknown_name_takes_as_long_as_a_known_one(cast, make_user):
    make_user("robot", bot=True)
    make_user("locked-out", password="!")
    names = ("alice", "nobody", "robot", "locked-out")
    took = {name: [] for name in names}

    for number in range(12):
        for name in names:
            SignInFailure.objects.all().delete()
            started = time.thread_time()  # of this thread alone, so that a busy machine changes nothing
            authenticate_basic(name, f"wrong {number}")
            took[name].append(time.thread_time() - started)

    typical = {name: statistics.median(times) for name, times in took.items()}
    assert max(typical.values()) < 1.6 * min(typical.values()), typical
