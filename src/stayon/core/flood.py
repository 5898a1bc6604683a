"""How much of a flood gets through: a token bucket that says when it begins to leave out, and when it ends."""

from __future__ import annotations

from stayon.core.record import Record

LET_THROUGH = "let-through"
LEAVE_OUT = "leave-out"
# The first one that is left out, and the first that passes again: each worth a word to whoever reads.
BEGIN = "begin"
RESUME = "resume"


class Limit(Record):
    """*burst* at once, *per_s* on average. Once something was left out, nothing passes until there is room for
    *resume*, so that a lasting flood comes as a few whole stretches, and not as every hundredth record.
    """

    burst: float
    per_s: float
    resume: float


class Bucket(Record):
    """How much room there was at *moment* (monotonic seconds), and how many were *left_out* since something passed."""

    room: float
    moment: float
    left_out: int = 0


def pour(limit: Limit, bucket: Bucket, now: float) -> tuple[str, Bucket]:
    """What to do with one more at *now*: one of the names above, and the bucket from then on.

    At RESUME, the number that were left out is in the bucket that was given. It costs two: itself, and the word.
    """
    room = min(limit.burst, bucket.room + max(0.0, now - bucket.moment) * limit.per_s)
    if bucket.left_out:
        if room < limit.resume:
            return LEAVE_OUT, Bucket(room, now, bucket.left_out + 1)
        return RESUME, Bucket(max(0.0, room - 2), now)
    if room < 1:
        return BEGIN, Bucket(room, now, 1)
    return LET_THROUGH, Bucket(room - 1, now)
