"""All the ways in which a small scenario can go: stateless model checking of code that uses a pool.

A scenario is run again and again from its beginning. Whenever more than one thing could happen next (who
runs, whose time is up, who is cancelled), a ``Chooser`` decides, and a ``Search`` sees to it that every
combination of decisions is made once. A scheduler (``aio`` for tasks, ``sync`` for threads) does one
thing at a time, by a clock of its own.

See M. Emmi, S. Qadeer, Z. Rakamarić, *Delay-Bounded Scheduling* (POPL 2011), and M. Musuvathi, S. Qadeer,
*Iterative Context Bounding for Systematic Testing of Multithreaded Programs* (PLDI 2007).
"""
