//! What the operating system says of this process, under the names that every Prometheus client
//! library uses (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use procfs::process::{LimitValue, Process as Proc};
use prometheus_client::metrics::MetricType;

/// One look at `/proc/self`; what can't be read is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    figures: Vec<(&'static str, &'static str, MetricType, f64)>,
}

impl Process {
    pub(super) fn now() -> Self {
        let mut now = Self::default();
        if let Ok(process) = Proc::myself() {
            now.read(&process);
        }
        now
    }

    /// Name, help, kind and value.
    pub(super) fn figures(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, MetricType, f64)> {
        self.figures.iter().copied()
    }

    #[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes or ticks")]
    fn read(&mut self, process: &Proc) {
        let gauge = MetricType::Gauge;
        if let Ok(stat) = process.stat() {
            let per_second = procfs::ticks_per_second() as f64;
            self.figures.push((
                "process_cpu_seconds",
                "User and system CPU time",
                MetricType::Counter,
                (stat.utime + stat.stime) as f64 / per_second,
            ));
            self.figures.push((
                "process_resident_memory_bytes",
                "Resident memory",
                gauge,
                (stat.rss * procfs::page_size()) as f64,
            ));
            self.figures.push((
                "process_virtual_memory_bytes",
                "Virtual memory",
                gauge,
                stat.vsize as f64,
            ));
            if let Ok(boot) = procfs::boot_time_secs() {
                let start = boot as f64 + stat.starttime as f64 / per_second;
                let help = "When the process started, in seconds since the epoch";
                self.figures.push(("process_start_time_seconds", help, gauge, start));
            }
            self.figures.push(("process_threads", "Threads", gauge, stat.num_threads as f64));
        }
        if let Ok(open) = process.fd_count() {
            self.figures.push(("process_open_fds", "Open file descriptors", gauge, open as f64));
        }
        if let Ok(limits) = process.limits() {
            let most = match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => most as f64,
                LimitValue::Unlimited => f64::INFINITY,
            };
            let help = "The limit of open file descriptors";
            self.figures.push(("process_max_fds", help, gauge, most));
        }
    }
}
