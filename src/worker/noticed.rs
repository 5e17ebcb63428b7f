//! What was noticed of a batch while it was made, for the metrics and the log.

use tracing::warn;

use super::Worker;
use crate::encode::Noticed;
use crate::kafka::{Consumer, DeadLetterTopic};
use crate::sink::Write;

impl<C: Consumer, D: DeadLetterTopic, W: Write> Worker<'_, C, D, W> {
    pub(super) fn tell_noticed(&mut self, noticed: Noticed) {
        self.metrics.series_in_several_partitions.inc_by(noticed.in_several_partitions);
        self.metrics.strings_dropped.inc_by(noticed.strings_dropped);
        self.metrics.shared_metrics.inc_by(noticed.shared_metrics);
        for shared in noticed.shared {
            warn!(
                connector = self.settings.connector,
                metric = shared.metric,
                one = shared.one,
                other = shared.other,
                "two fields have become one metric; give them other names, or set `metric_name` or \
                 `metric_name_validation_scheme`"
            );
        }
        if let Some(news) = noticed.news {
            warn!(
                connector = self.settings.connector,
                series = news.series,
                partition = news.partition,
                before = news.before,
                "a series comes from several partitions, so its samples have no order; produce with a \
                 key that is the series, or add a tag that tells the partitions apart"
            );
        }
    }

    /// Paths that the mapping names and messages no longer have.
    pub(super) fn tell_gone(&self, paths: &[String]) {
        if !paths.is_empty() {
            warn!(
                connector = self.settings.connector,
                paths = paths.join(", "),
                "messages no longer have paths that the mapping names: the first message of each of the last \
                 100 batches was without them"
            );
        }
    }
}
