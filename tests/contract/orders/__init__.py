"""The real implementation, driven through the model's shortest violating orders (tests/model): it refuses each.

    stage.py    the processes, the source, and P: what a read must not be older than
    actor.py    a caller that moves from place to place when it is told to
    packets.py  a client whose round trips are those places
    ear.py      a link whose messages arrive when they are told to
    breaks.py   how a guard is taken out, for the tests that see the violation

For each guard of the model, `test_<guard>` runs the order on the real code, with the guard in place, and shows that the
step was reached at which it acts; `test_<guard>_matters` runs the same order without the guard, and sees P violated.
"""
