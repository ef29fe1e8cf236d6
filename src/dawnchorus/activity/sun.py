"""When the sun rises and sets, to the minute, for lines in pictures of local hours.

Source: the equations of the NOAA Solar Calculator (after Meeus, Astronomical Algorithms, 1991).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import acos, asin, cos, degrees, radians, sin, tan
from typing import Final

ZENITH: Final = 90.833  # degrees: the sun's upper edge, with the usual refraction
J2000: Final = datetime(2000, 1, 1, 12, tzinfo=UTC)


def sun_times(day: date, latitude: float, longitude: float) -> tuple[datetime, datetime] | None:
    """Sunrise and sunset of a date, in UTC; None in a polar day or night.

    Args:
        day: the date at that place.
        latitude: in degrees, north positive.
        longitude: in degrees, east positive.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    noon = midnight + timedelta(minutes=720 - 4 * longitude)
    # the sun moves on during the day: twice gives the minute
    times = []
    for sign in (-1, 1):
        moment = noon
        for _ in range(2):
            declination, equation = _sun(moment)
            cosine = cos(radians(ZENITH)) / (cos(radians(latitude)) * cos(declination))
            cosine -= tan(radians(latitude)) * tan(declination)
            if abs(cosine) > 1:
                return None
            angle = degrees(acos(cosine))
            minutes = 720 - 4 * (longitude - sign * angle) - equation
            moment = midnight + timedelta(minutes=minutes)
        times.append(moment)
    return times[0], times[1]


def _sun(moment: datetime) -> tuple[float, float]:
    """Declination in radians and equation of time in minutes."""
    century = (moment - J2000) / timedelta(days=36525)
    mean_longitude = radians((280.46646 + century * (36000.76983 + century * 0.0003032)) % 360)
    anomaly = radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    centre = (
        sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + sin(3 * anomaly) * 0.000289
    )
    node = radians(125.04 - 1934.136 * century)
    apparent = mean_longitude + radians(centre - 0.00569 - 0.00478 * sin(node))
    tilt = radians(23.4392911 - 0.0130042 * century + 0.00256 * cos(node))
    declination = asin(sin(tilt) * sin(apparent))
    y = tan(tilt / 2) ** 2
    equation = (
        y * sin(2 * mean_longitude)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * y * sin(anomaly) * cos(2 * mean_longitude)
        - y * y / 2 * sin(4 * mean_longitude)
        - 1.25 * eccentricity**2 * sin(2 * anomaly)
    )
    return declination, 4 * degrees(equation)
