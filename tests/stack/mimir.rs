//! Grafana Mimir, and Cortex, which it comes from.

use super::http::{self, query_result};
use super::process::{Process, free_port, process_control, started};
use super::{Series, shared};

pub fn shared_mimir() -> Mimir {
    Mimir { url: shared("TIDEGATE_TEST_MIMIR"), process: None }
}

pub fn shared_cortex() -> Mimir {
    Mimir { url: shared("TIDEGATE_TEST_CORTEX"), process: None }
}

process_control!(Mimir);

/// All of Mimir or Cortex in one process, for many tenants, each with its own series and its own newest sample. It
/// answers for any tenant whose name it is given in `X-Scope-OrgID`. The tenant [`Mimir::LATE`] may write 30 minutes late.
pub struct Mimir {
    url: String,
    process: Option<Process>,
}

impl Mimir {
    pub const LATE: &'static str = "late";

    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more options of its command line.
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_script("mimir.sh", 3, options)
    }

    /// Cortex, with more options of its command line.
    pub fn start_cortex(options: &[&str]) -> Self {
        Self::start_script("cortex.sh", 2, options)
    }

    /// The first of so many ports is that of HTTP.
    fn start_script(script: &'static str, ports: usize, options: &[&str]) -> Self {
        started(|| {
            let ports: Vec<_> = (0..ports).map(|_| free_port().to_string()).collect();
            let arguments: Vec<_> =
                ports.iter().map(String::as_str).chain(options.iter().copied()).collect();
            let process = Process::start(script, &arguments);
            let url = format!("http://127.0.0.1:{}", ports[0]);
            let mut server = Self { url, process: Some(process) };
            server.became_ready().map(|()| server)
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All raw samples of a tenant's series that match `selector` in the `range` (such as `10h`) before `time` (Unix
    /// seconds).
    pub fn series(&self, tenant: &str, selector: &str, range: &str, time: f64) -> Vec<Series> {
        let query = http::escaped(&format!("{selector}[{range}]"));
        let path = format!("/prometheus/api/v1/query?query={query}&time={time}");
        let tenant = [("X-Scope-OrgID", tenant)];
        let (status, body) =
            http::request(&self.url, "GET", &path, &tenant, "").expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        query_result(&body)
    }

    fn is_ready(&self) -> bool {
        http::request(&self.url, "GET", "/ready", &[], "").is_ok_and(|(status, _)| status == 200)
    }
}
