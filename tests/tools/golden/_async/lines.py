"""No line moves, whatever the formatter would rather have."""


async def joined(pool):
    result = await pool.a_method_with_a_long_name(
        "an argument that fits on one line", when="the line is short"
    )
    parenthesized = (await pool.a()).b
    value = (await pool.c())
    part = pool[await value : await spare]
    spare = -(await pool.a())
    return await pool.a_method_with_a_long_name_too_______________________________________(a=(await pool.b()))


async def with_names_that_become_longer_than_a_line():
    from pool._runtime.aio import a_name_that_fills_the_line_to_its_end_________________________ as x

    return (
        await x()
    )  # the end
