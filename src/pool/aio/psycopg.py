"""PostgreSQL with psycopg 3: the extra ``twinpool[psycopg]``."""

from pool._async.psycopg import PsycopgManager

__all__ = ["PsycopgManager"]
