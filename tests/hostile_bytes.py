"""What tests of malicious and damaged files share: a limit on memory, and random changes."""

import tracemalloc
from contextlib import contextmanager


@contextmanager
def bounded_memory(limit):
    """What is allocated inside must stay below the limit, in bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def changed(content, generator):
    """Return the content after one to four random changes."""
    content = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        start = generator.randrange(len(content) + 1)
        end = min(start + generator.choice((1, 1, 2, 8, 300)), len(content))
        content[start:end] = generator.choice(
            (
                b"",
                generator.randbytes(end - start),
                b"\xff" * (end - start),
                content[:end],
                content[end : end + 9],
            )
        )
    return bytes(content)
