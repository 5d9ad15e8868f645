"""What runs in the background, and how often. Each is a few lines; the work is an operation."""

from django.contrib.sessions.backends.db import SessionStore

from portus.accounts.operations import forget_old_failures
from portus.background.queue import handles, nudge
from portus.registry import events


@handles("events")
def handle_events() -> None:
    """Handle every registry event that is due."""
    events.handle_due()


@handles("sweep")
def sweep() -> None:
    """Find what lost nudges left, and throw away what is no longer needed."""
    nudge("events")
    events.purge()
    forget_old_failures()
    SessionStore.clear_expired()
