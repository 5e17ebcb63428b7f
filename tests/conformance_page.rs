//! The status page in a real Chromium: what a person on call sees and does, from data that flows to a dead letter that
//! is replayed. Pictures of it are kept in `report/` of Cargo's target folder.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that has no server can only panic")]

#[path = "support/run.rs"]
mod run;
mod stack;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use run::{Message, Tidegate, Topic, unique};
use serde_json::{Value, json};
use stack::{VictoriaMetrics, free_port, shared_kafka};

/// What is promised.
const SHOWS_OUTAGE_WITHIN: u64 = 3_000;
const SOON: u64 = 40_000;

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
fn a_person_sees_data_flow_an_outage_come_and_go_and_a_rejected_record_and_replays_it() {
    let kafka = shared_kafka();
    let mut database = VictoriaMetrics::start();
    let topic = Topic::create(&kafka, unique("page"), 2);
    let dead = Topic::create(&kafka, format!("{}_dead", topic.name), 1);
    let name = topic.name.clone();
    let address = format!("127.0.0.1:{}", free_port());
    let connector = |field: &str| {
        format!(
            "
name: {name}
topics: [{name}]
kafka: {{ bootstrap.servers: '{}', statistics.interval.ms: 200 }}
point: {{ measurement: {name}, tags: {{ site: site }}, fields: {{ v: {field} }} }}
sink: {{ influxdb: {{ url: '{}', org: none, bucket: none }} }}
dead_letter: {{ topic: {} }}
batch: {{ linger: 100ms }}
",
            kafka.bootstrap(),
            database.url(),
            dead.name
        )
    };
    let (strict, mended) = (
        connector("{ path: v, required: true }"),
        connector("{ path: v, required: true, coerce: true }"),
    );
    let process = format!("server: {{ listen: '{address}' }}\n");
    let files = [("../tidegate.yaml", process.as_str()), ("c.yaml", &strict)];
    let mut tidegate = Tidegate::run_all(&files, &[]);
    tidegate.until("it listens", || TcpStream::connect(&address).is_ok());
    let mut browser = Browser::at(&address);
    let card = format!("[data-connector='{name}']");

    browser.told(&json!(["open", ""]));
    browser.told(&json!(["see", format!("{card} .state"), "RUNNING", SOON]));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flow = scope.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::Acquire) {
                topic.produce(
                    (0..50).map(|v| Message::new(format!(r#"{{"site":"s{v}","v":{v}}}"#))),
                );
                n += 50;
                thread::sleep(Duration::from_millis(200));
            }
            n
        });
        // Whatever fails here, the flow must end, or the scope waits for ever.
        let ends = EndsAtDrop(&over);
        let lines = |browser: &mut Browser| {
            [1, 2, 4, 5].map(|n| {
                let line = format!("{card} .chart:nth-child({n}) polyline");
                browser.told(&json!(["line", line]))["value"].as_str().expect("points").to_owned()
            })
        };
        browser.until("the charts move while data flows", |browser| {
            let before = lines(browser);
            thread::sleep(Duration::from_millis(1500));
            let after = lines(browser);
            before[0] != after[0] && before[1] != after[1] && before[3] != after[3]
        });
        browser.picture("flow");

        database.stop();
        let stopped = Instant::now();
        browser.told(&json!(["see", &card, "the database takes nothing", SOON]));
        let shown = u64::try_from(stopped.elapsed().as_millis()).expect("milliseconds");
        println!("the outage was on the page after {shown} ms");
        assert!(shown <= SHOWS_OUTAGE_WITHIN, "the outage was shown after {shown} ms");
        browser.told(&json!(["open", format!("#{name}")]));
        browser.told(&json!(["see", "td", "unavailable", SOON]));
        browser.picture("outage");
        database.restart();
        browser.told(&json!(["miss", &card, "the database takes nothing", SOON]));
        drop(ends);
        let sent = flow.join().expect("the flow");
        browser.told(&json!(["see", "td", format!("{sent} read"), SOON]));
    });

    topic.produce([Message::new(r#"{"site":"lost","v":"17"}"#)]);
    browser.told(&json!(["see", "#letters .message", "\"v\": \"17\"  ◀ here", SOON]));
    browser.told(&json!(["see", "#letters .message", "from ", SOON]));
    browser.told(&json!(["click", "#look"]));
    browser.told(&json!(["see", "#messages .message.bad", "\"17\"", SOON]));
    browser.told(&json!(["see", "#messages .message .good", &name, SOON]));
    browser.picture("rejected");

    let file = tidegate.folder().join("connectors/c.yaml");
    fs::write(&file, "topics: [").expect("a file");
    browser.told(&json!(["see", "#about", "the last reload failed", SOON]));
    fs::write(&file, mended).expect("a file");
    browser.told(&json!(["miss", "#about", "the last reload failed", SOON]));
    browser.told(&json!(["click", "#replay"]));
    browser.told(&json!(["see", "dialog", "dead letters", SOON]));
    browser.told(&json!(["click", "#yes"]));
    browser.told(&json!(["see", "#progress", "replayed: 1 written, 0 rejected again", SOON]));
    browser.told(&json!(["see", "#letters .message", "(replayed)", SOON]));
    database.flush();
    let replayed = database.export(&format!("{name}_v{{site=\"lost\"}}"));
    assert_eq!(replayed.len(), 1, "{replayed:?}");
    assert_eq!(replayed[0].1[0].1.to_bits(), 17f64.to_bits(), "{replayed:?}");

    browser.told(&json!(["type", "[aria-label='batch.linger']", "soon"]));
    browser.told(&json!(["click", "#check"]));
    browser.told(&json!(["see", "tr:has([aria-label='batch.linger']) .why", "soon", SOON]));

    browser.told(&json!(["press", format!("Pause {name}"), "Enter"]));
    browser.told(&json!(["see", "dialog", "reads nothing more", SOON]));
    browser.told(&json!(["press", "yes", "Enter"]));
    browser.told(&json!(["see", format!("{card} .state"), "PAUSED", SOON]));

    let light = browser.told(&json!(["background"]));
    browser.told(&json!(["scheme", "dark"]));
    let dark = browser.told(&json!(["background"]));
    assert_ne!(light["value"], dark["value"], "dark is another colour");
    browser.picture("dark");
    browser.told(&json!(["size", 390, 800]));
    assert_eq!(browser.told(&json!(["overflow"]))["value"], 0, "a phone's width is enough");
    browser.picture("phone");
    assert_eq!(browser.told(&json!(["foreign"]))["value"], json!([]), "no outside host");
    assert_eq!(browser.told(&json!(["wrong"]))["value"], json!([]), "no error in the page");
    tidegate.stop();
}

struct EndsAtDrop<'a>(&'a AtomicBool);

impl Drop for EndsAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Chromium at the page, by tests/clients/browse.mjs.
struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Browser {
    fn at(address: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/browse.mjs");
        let mut child = Command::new("node")
            .args([script, &format!("http://{address}/")])
            .env("PLAYWRIGHT", installed("playwright-core"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node, by tests/stack/install.sh playwright-core");
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, to, from }
    }

    /// Its answer; an error fails the test.
    #[track_caller]
    fn told(&mut self, what: &Value) -> Value {
        let to = self.to.as_mut().expect("its input");
        writeln!(to, "{what}").expect("it listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        if answer["ok"] != true {
            let _ = writeln!(to, "{}", json!(["picture", report("page-failed")]));
            let _ = self.from.read_line(&mut line);
            panic!("{what}: {answer}");
        }
        answer
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_millis(SOON);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "not within {SOON} ms: {what}");
        }
    }

    fn picture(&mut self, name: &str) {
        self.told(&json!(["picture", report(&format!("page-{name}"))]));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its input it closes Chromium and ends.
        self.to = None;
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a picture is kept.
fn report(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report");
    fs::create_dir_all(&folder).expect("a folder");
    folder.join(format!("{name}.png"))
}

fn installed(name: &str) -> String {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/install.sh");
    let output = Command::new(install).args(["--where", name]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
