import bcrypt
from django.contrib.auth.hashers import Argon2PasswordHasher, BCryptPasswordHasher

COUNTED_BY_BCRYPT = 72  # bytes of a password


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the memory that OWASP recommends at least (19 MiB, two passes, one lane).

    Django's own 100 MiB a hash would let a few sign-ins at once double a worker's size.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1


class ImportedBcryptHasher(BCryptPasswordHasher):
    """Passwords of Portus 2.x, which took longer ones and let bcrypt ignore the rest; the library refuses them now."""

    def encode(self, password: str, salt: str | bytes) -> str:
        counted = password.encode()[:COUNTED_BY_BCRYPT]
        hashed = bcrypt.hashpw(counted, salt.encode() if isinstance(salt, str) else salt)
        return f"{self.algorithm}${hashed.decode()}"
