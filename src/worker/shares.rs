//! What several workers of a connector show together.

use crate::telemetry::{LagShare, Metrics, Share, WorkerTurns};

/// This worker's part of it.
pub(super) struct Shares {
    pub lag: Share,
    pub lags: LagShare,
    pub turns: WorkerTurns,
    pub partitions: Share,
    pub paused: Share,
    pub outage: Share,
    pub in_flight: Share,
    pub bytes: Share,
}

impl Shares {
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self {
            lag: Share::of(&metrics.lag_records),
            lags: LagShare::of(&metrics.lags),
            turns: WorkerTurns::of(&metrics.turns),
            partitions: Share::of(&metrics.partitions_assigned),
            paused: Share::of(&metrics.paused),
            outage: Share::of(&metrics.outages),
            in_flight: Share::of(&metrics.batches_in_flight),
            bytes: Share::of(&metrics.bytes_in_flight),
        }
    }
}
