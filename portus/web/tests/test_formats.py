from datetime import timedelta

import pytest
from django.utils import timezone

from portus.web.templatetags import portus as formats

NBSP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"), (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9950, "10 kB"),
        (999_499, "999 kB"), (999_500, "1.0 MB"), (12_345_678, "12 MB"), (3_456_000_000, "3.5 GB"),
        (2 * 10**12, "2.0 TB"), (5 * 10**18, "5000 PB"),
    ],
)  # fmt: skip
def test_sizes(number, text):
    assert formats.size(number) == text.replace(" ", NBSP)


@pytest.mark.parametrize(
    ("digest", "short"),
    [("sha256:" + "ab" * 32, "abababababab"), ("sha512:" + "0" * 128, "0" * 12), ("odd", "odd"), ("", "")],
)
def test_digests(digest, short):
    assert formats.short_digest(digest) == short


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "tag", "0 tags"), (1, "tag", "1 tag"), (2, "repository", "2 repositories"), (1, "repository", "1 repository"),
     (10_000, "tag", "10,000 tags"), (10_001, "tag", "10,000+ tags")],
)  # fmt: skip
def test_counts(number, noun, text):
    assert formats.counted(number, noun) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        ({"seconds": 59}, "just now"), ({"seconds": 60}, "1 minute ago"), ({"minutes": 59}, "59 minutes ago"),
        ({"hours": 1}, "1 hour ago"), ({"hours": 47}, "1 day ago"), ({"days": 29}, "29 days ago"),
        ({"days": 30}, "1 month ago"), ({"days": 364}, "12 months ago"), ({"days": 365}, "1 year ago"),
        ({"days": 800}, "2 years ago"), ({"seconds": -30}, "just now"), ({"days": -3}, "in 3 days"),
    ],
)  # fmt: skip
def test_ages(passed, text):
    assert formats.age(timedelta(**passed)) == text


def test_an_age_has_the_exact_time_beside_it():
    assert formats.ago(timezone.now())["words"] == "just now"
    assert formats.ago(None)["words"] == "never"
