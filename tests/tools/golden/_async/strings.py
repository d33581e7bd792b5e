"""F-strings are one token in Python 3.11 and several in 3.12: the output is the same."""


async def describe(pool, name, width):
    first = f"{await pool.size()} of {name!r:>{width}} in pool.aio.{name}, {{async with}}"
    second = rf"""
        {await pool.get("aio")}: \d {name + f'{await pool.inner()}'}
    """
    third = "aio" "pool.aio" r"\aio", b"aio"
    return first, second, third
