"""What functions of the course may take though a fuzzer calls it spoiled; see `takes` in fuzzing.py."""

# Any real numbers will do; NaN and infinities are not looked for and come out again.
NUMBERS = ("nan", "inf", "negative", "huge", "half")
# A tensor of any shape will do.
SHAPES = ("empty", "one more dimension", "one dimension fewer", "one row fewer", "one column more")
# A float of any size; and one of those that are not negative.
NUMBER = ("-1.0", "0.0", "1e308")
NOT_NEGATIVE = ("0.0", "1e308")


def entries(*names):
    """Return these spoilings, each of one entry of a list."""
    return tuple(f"entry {name}" for name in names)
