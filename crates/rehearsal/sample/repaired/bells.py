"""How many bells are struck aboard a ship.

A watch has four hours. Half an hour after it began one bell is struck, and one more every half
hour after that; eight bells end it. Between two half hours the last count still stands.
"""


def bells(hour, minute=0):
    """The count that stands at a time of day, from 1 to 8."""
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(f"{hour}:{minute:02} is no time of day")
    half_hours = (hour % 4) * 2 + minute // 30
    return half_hours or 8
