"""What pandas makes of a labelled series: its scores, growth and windows, and where it is labelled.

    score_pandas.py FILE.csv        columns timestamp, value and label, a row an hour

Prints a JSON object: `points` and `windows` by their times, in milliseconds, `labels` a 0 or 1 a row. The numbers that
stand here as they are stand in tests/conformance_anomalies.rs, too.
"""

import json
import sys

import numpy
import pandas

OVER, WARMUP, ALPHA, ABOVE = "168h", 20, 0.1, 3000.0
MAX_SCORE = 1e6


def main():
    rows = pandas.read_csv(sys.argv[1], parse_dates=["timestamp"]).set_index("timestamp")
    value = rows["value"].astype(float)
    assert (value.index.diff()[1:] == pandas.Timedelta("1h")).all(), "not a row an hour"
    growth = value.diff()
    points = pandas.DataFrame(
        {
            "ewma_score": ewma(value),
            "robust_score": before(value).apply(lambda w: robust(w[:-1], w[-1]), raw=True),
            "change_score": before(value).apply(changed, raw=True),
            "bounds_score": (value - ABOVE).clip(lower=0.0),
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


def ewma(value):
    """The distance of each value from the weighted mean of those before it, in weighted standard deviations."""

    def of(window):
        weighted = pandas.Series(window[:-1]).ewm(alpha=ALPHA)
        return score(window[-1] - weighted.mean().iloc[-1], weighted.std().iloc[-1])

    return before(value).apply(of, raw=True)


def changed(window):
    changes = numpy.diff(window) / 3600.0
    return robust(changes[:-1], changes[-1])


def robust(past, value):
    """The modified z-score of Iglewicz and Hoaglin, by the constants that make it one of a normal distribution."""
    distances = numpy.abs(past - numpy.median(past))
    deviation = 1.482602218505602 * numpy.median(distances)
    if deviation == 0.0:
        deviation = numpy.sqrt(numpy.pi / 2) * distances.mean()
    return score(value - numpy.median(past), deviation)


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
