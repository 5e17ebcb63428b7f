//! Where the time goes: perf looks at a Tidegate that does the standard topic; `make flame` draws what it saw.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::compare::{account, number};
use crate::receiver::Receiver;
use crate::stack::Kafka;
use crate::subjects::{Output, Subject, sink, start_tidegate};
use crate::topic::Topic;
use crate::workload::{DEVICES, Message};

/// perf doesn't say when it has begun.
const ATTACHED_WITHIN: Duration = Duration::from_secs(1);

fn signal(name: &str, pid: &str) {
    let status = Command::new("kill").args(["-s", name, pid]).status().expect("kill");
    assert!(status.success(), "kill -s {name} {pid}");
}

/// Records stacks into `file`, in perf's own format, while the topic is done.
pub fn run(output: &str, file: &str) {
    let output = match output {
        "line_protocol" => Output::LineProtocol,
        "line_protocol_gzip" => Output::LineProtocolGzip,
        "remote_write" => Output::RemoteWrite,
        other => panic!("{other}: line_protocol, line_protocol_gzip or remote_write"),
    };
    let (kafka, messages) = (Kafka::start(), number("BENCH_MESSAGES", 3_000_000));
    let topic = Topic::filled(&kafka, "flame", 4, "none", messages, Message::Standard, |n| {
        (format!("device-{:04}", n % DEVICES), Message::Standard.number(n, DEVICES))
    });
    let (receiver, start) = (Receiver::start(), Instant::now());
    let mut running = start_tidegate(&topic, "flame", &sink(output, &receiver.url()), "");
    let pid = running.child.id().to_string();
    // perf looks at the threads that it finds, and at those that they start: while it looks, none may begin.
    signal("STOP", &pid);
    // By the clock's interrupts: virtual machines seldom have counters of their own. The release build keeps no
    // frame pointers.
    let mut perf = Command::new("perf")
        .args([
            "record",
            "--quiet",
            "--event",
            "cpu-clock",
            "--freq",
            "299",
            "--call-graph",
            "dwarf,8192",
        ])
        .args(["--output", file, "--pid", &pid])
        .spawn()
        .expect("perf is there: tests/stack/install.sh perf");
    std::thread::sleep(ATTACHED_WITHIN);
    signal("CONT", &pid);
    account(Subject::Tidegate, &mut running, &topic, "", start);
    running.stop();
    assert!(perf.wait().expect("perf ends with what it looks at").success(), "perf");
}
