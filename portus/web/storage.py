from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed names that may be cached for ever; a name that was never collected is served under its own name."""

    manifest_strict = False
