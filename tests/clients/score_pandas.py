"""What pandas makes of a labelled series: its scores, growth and windows, and where it is labelled.

    score_pandas.py FILE.csv        columns timestamp, value and label, a row an hour

Prints a JSON object: `points` and `windows` by their times, in milliseconds, `labels` a 0 or 1 a row. The numbers that
stand here as they are stand in tests/conformance_anomalies.rs, too.
"""

import json
import sys

import numpy
import pandas

OVER, WARMUP, ALPHA, THRESHOLD, ABOVE = "168h", 20, 0.1, 3.5, 3000.0
MAX_SCORE = 1e6


def main():
    rows = pandas.read_csv(sys.argv[1], parse_dates=["timestamp"]).set_index("timestamp")
    value = rows["value"].astype(float)
    assert (value.index.diff()[1:] == pandas.Timedelta("1h")).all(), "not a row an hour"
    growth = value.diff()
    bands = {name: band(value, usual) for name, usual in METHODS.items()}
    points = pandas.DataFrame(
        {
            **{f"{name}_score": scored(value, usual) for name, usual in METHODS.items()},
            "bounds_score": (value - ABOVE).clip(lower=0.0),
            **{f"{name}_{end}": side for name, sides in bands.items() for end, side in sides.items()},
            "bounds_high": ABOVE,
            "value_delta": growth,
            "value_rate": growth / 60.0,
        }
    )
    windows = {"day": by_day(value), "sliding": sliding(value)}
    print(
        json.dumps(
            {
                "points": by_time(points),
                "windows": {name: by_time(window) for name, window in windows.items()},
                "labels": rows["label"].astype(int).tolist(),
            }
        )
    )


def before(value):
    """Each row, with the rows of less than OVER before it; nothing where those are fewer than WARMUP."""
    return value.rolling(OVER, closed="right", min_periods=WARMUP + 1)


def scored(value, usual):
    """The distance of each value from what is usual of those before it, in deviations."""

    def of(window):
        number, center, deviation, _ = usual(window)
        return score(number - center, deviation)

    return before(value).apply(of, raw=True)


def band(value, usual):
    """The values at which the score would be the threshold."""

    def at(side):
        def of(window):
            _, center, deviation, value_of = usual(window)
            return value_of(center + side * THRESHOLD * deviation)

        return before(value).apply(of, raw=True)

    return {"low": at(-1), "high": at(1)}


def by_weight(window):
    """Of a value and those before it: what is looked at, its mean and deviation, and the value that a number stands for."""
    weighted = pandas.Series(window[:-1]).ewm(alpha=ALPHA)
    return window[-1], weighted.mean().iloc[-1], weighted.std().iloc[-1], lambda number: number


def by_rank(window):
    return window[-1], *robust(window[:-1]), lambda number: number


def by_change(window):
    changes = numpy.diff(window) / 3600.0
    return changes[-1], *robust(changes[:-1]), lambda number: window[-2] + 3600.0 * number


def robust(past):
    """By the constants that make the modified z-score of Iglewicz and Hoaglin one of a normal distribution."""
    distances = numpy.abs(past - numpy.median(past))
    deviation = 1.482602218505602 * numpy.median(distances)
    if deviation == 0.0:
        deviation = numpy.sqrt(numpy.pi / 2) * distances.mean()
    return numpy.median(past), deviation


def score(distance, deviation):
    if distance == 0.0:
        return 0.0
    if deviation == 0.0:
        return numpy.copysign(MAX_SCORE, distance)
    return numpy.clip(distance / deviation, -MAX_SCORE, MAX_SCORE)


def by_day(value):
    return aggregates(value.resample("1D", origin="epoch"))


def sliding(value):
    """Windows of six hours, one an hour, by the time at which they begin; the first ones begin before the series."""
    earlier = pandas.date_range(end=value.index[0], periods=6, freq="1h")[:-1]
    value = pandas.concat([pandas.Series(numpy.nan, index=earlier), value])
    forward = pandas.api.indexers.FixedForwardWindowIndexer(window_size=6)
    return aggregates(value.rolling(forward, min_periods=1))


def aggregates(window):
    return pandas.DataFrame(
        {
            "value_count": window.count(),
            "value_sum": window.sum(),
            "value_min": window.min(),
            "value_max": window.max(),
            "value_mean": window.mean(),
            "value_first": window.first(),
            "value_last": window.last(),
            "value_stddev": window.std(),
            "value_p95": window.quantile(0.95),
        }
    )


METHODS = {"ewma": by_weight, "robust": by_rank, "change": by_change}


def by_time(frame):
    """What has a value, by milliseconds."""
    milliseconds = frame.index.as_unit("ms").astype("int64")
    rows = zip(milliseconds, frame.to_dict(orient="records"))
    return {
        str(time): {name: number for name, number in row.items() if not pandas.isna(number)}
        for time, row in rows
    }


if __name__ == "__main__":
    main()
