"""How passwords are stored."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 46 MiB and one lane, as OWASP advises.

    Django's own parameters use 100 MiB and eight threads for each sign-in.
    """

    time_cost = 1
    memory_cost = 46 * 1024
    parallelism = 1
