from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the memory that OWASP recommends at least (19 MiB, two passes, one lane).

    Django's own 100 MiB a hash would let a few sign-ins at once double a worker's size.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
