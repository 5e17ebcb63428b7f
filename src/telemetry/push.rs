//! A process's own metrics, written to a database: the page of `/metrics` goes the way of any message that
//! holds points, through the decoder and the encoder of that database.

use std::time::Duration;

use tracing::{info, warn};

use super::exposition::{self, Format};
use super::{Reloads, since_epoch};
use crate::batch::{OpenParts, RecordIndex};
use crate::config::{Decode, OwnMetrics, Points};
use crate::connectors::Connectors;
use crate::decode::{Decoder, Refusal};
use crate::map::{Mapping, Plan, Scratch};
use crate::record::OwnedRecord;
use crate::sink::{BuildError, Sink, Write as _};
use crate::worker::Transform;

/// How long the database may take.
const WITHIN: Duration = Duration::from_secs(10);

/// What writes them.
#[derive(Debug)]
pub struct Push {
    config: OwnMetrics,
    sink: Sink,
    transform: Transform,
    scratch: Scratch,
    open: OpenParts,
}

impl Push {
    pub fn new(config: OwnMetrics) -> Result<Self, BuildError> {
        let sink = Sink::new(&config.sink, WITHIN)?;
        let decoder = Decoder::new(&Decode::Points(Points::PrometheusText))
            .keeping_not_finite(config.sink.takes_not_finite());
        let plan = Plan::new(&Mapping::default());
        let transform =
            Transform { decompressed: None, ..Transform::new(decoder, plan, sink.encoder()) };
        let (scratch, open) = (Scratch::default(), OpenParts::default());
        Ok(Self { config, sink, transform, scratch, open })
    }

    /// Writes them again and again, as long as it is polled. An outage is told once, and its end.
    pub async fn run(mut self, connectors: Connectors, reloads: Reloads) {
        let mut ticks = tokio::time::interval(self.config.every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_out = false;
        loop {
            ticks.tick().await;
            let page = exposition::labelled(
                Format::Prometheus,
                connectors.views(),
                &reloads,
                &self.config.labels,
            );
            let written = self.write(page).await;
            match &written {
                Ok(()) if is_out => info!("this process's own metrics are written again"),
                Err(reason) if !is_out => {
                    warn!(
                        reason,
                        "this process's own metrics can't be written; newer ones will be"
                    );
                }
                _ => {}
            }
            is_out = written.is_err();
        }
    }

    /// Once, as samples of now.
    async fn write(&mut self, page: String) -> Result<(), String> {
        let now = i64::try_from(since_epoch().as_millis()).ok();
        let record = OwnedRecord::new("tidegate.metrics", page.into_bytes(), now);
        self.transform.apply(&record, RecordIndex(0), &mut self.scratch, &mut self.open).map_err(
            |refusal| match refusal {
                Refusal::Unavailable(reason) => reason,
                Refusal::Rejected(reject) => reject.reason,
            },
        )?;
        let (batches, _) = self.open.close(&mut self.transform.encoder);
        for batch in batches {
            self.sink.write(&batch).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
