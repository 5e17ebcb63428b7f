//! One run: servers up, messages flow, everything is harmed, everything is healed, and the account is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::audit::Audit;
use crate::chronicle::Chronicle;
use crate::durable::{LettersDue, not_durable};
use crate::evidence;
use crate::fleet::Fleet;
use crate::lanes::{self, Lane, Names};
use crate::report::{Part, Report};
use crate::stack::cluster::Cluster;
use crate::stack::{InfluxDb2, Prometheus};
use crate::stream::{Kind, PARTITIONS, Stream};
use crate::support::produce::Production;
use crate::support::proxy::Proxy;
use crate::support::watch::Watch;
use crate::support::{Random, now_ms};
use crate::target::{self, INFLUXDB, PROMETHEUS, TOPIC, Target};

/// Three JVMs, two databases and three tidegates share a small machine.
const PRODUCED_A_SECOND: u32 = 1_000;
/// Messages are so old when they are produced: neither in the future nor too late for Prometheus.
const AGE_MS: i64 = 10 * 60 * 1000;
const DEAD_PARTITIONS: i32 = 2;
/// What a request may wait for each of its points.
const A_POINT: Duration = Duration::from_micros(300);
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Without any progress for so long, with all faults over, something is stuck.
const STALLED_AFTER: Duration = Duration::from_mins(2);

pub struct Settings {
    pub seed: u64,
    /// Of faults.
    pub seconds: u64,
    pub binary: PathBuf,
    /// Whether to wait after the faults until all is committed. Else the account is of what is there by then.
    pub settle: bool,
    /// For configuration and logs.
    pub folder: PathBuf,
}

/// All servers, and the proxies before the databases.
struct World {
    cluster: Cluster,
    influxdb: InfluxDb2,
    prometheus: Prometheus,
}

impl World {
    fn start() -> Self {
        thread::scope(|scope| {
            let influxdb = scope.spawn(InfluxDb2::start);
            let prometheus = scope.spawn(|| Prometheus::start_with_out_of_order("1h"));
            let cluster = Cluster::start();
            Self {
                cluster,
                influxdb: influxdb.join().expect("InfluxDB"),
                prometheus: prometheus.join().expect("Prometheus"),
            }
        })
    }

    fn create_topics(&self) -> Vec<String> {
        let kafka = self.cluster.kafka();
        let partitions = i32::try_from(PARTITIONS).expect("a few");
        kafka.create_topic(TOPIC, partitions);
        let mut topics = vec![TOPIC.to_owned()];
        for target in [INFLUXDB, PROMETHEUS] {
            // The broker's own time on each letter, which a commit is held against.
            let config = [("message.timestamp.type", "LogAppendTime")];
            kafka.create_topic_with(&target.dead_topic(), DEAD_PARTITIONS, &config);
            topics.push(target.dead_topic());
        }
        topics
    }
}

/// A connector, as it is watched from outside.
struct Observer {
    target: Target,
    proxy: Arc<Proxy>,
    letters_due: LettersDue,
    watch: Watch,
}

impl Observer {
    fn start(target: Target, bootstrap: &str, stream: &Arc<Stream>, proxy: Arc<Proxy>) -> Self {
        let letters_due = LettersDue::default();
        let not_durable = not_durable(target, stream, &proxy, &letters_due);
        let watch = Watch::start(bootstrap, TOPIC, &target.group(), PARTITIONS, not_durable);
        Self { target, proxy, letters_due, watch }
    }

    fn committed(&self) -> usize {
        self.watch.observed().committed.iter().sum()
    }
}

pub fn run(settings: &Settings) -> Report {
    let mut random = Random::seeded(settings.seed);
    let count = usize::try_from(settings.seconds * u64::from(PRODUCED_A_SECOND)).expect("memory");
    let first_at = now_ms() - AGE_MS;
    let stream = Arc::new(Stream::new(count, first_at, &mut random));
    println!("{} messages, SEED={}; the servers start", stream.len(), settings.seed);

    let mut world = World::start();
    let topics = world.create_topics();
    let last_at = first_at + i64::try_from(count).expect("a small number");
    evidence::seed_type_conflict(&world.influxdb, &[first_at, last_at]);
    let bootstrap = world.cluster.bootstrap().to_owned();
    target::write_configuration(&settings.folder, &bootstrap);
    let urls = [(INFLUXDB, world.influxdb.url()), (PROMETHEUS, world.prometheus.url())];
    let observers = urls.map(|(target, url)| {
        let proxy = Proxy::start(target.database(url), A_POINT, random.fork());
        Observer::start(target, &bootstrap, &stream, Arc::new(proxy))
    });
    let proxies = addresses(observers.each_ref().map(|observer| observer.proxy.url()));
    let mut fleet = Fleet::new(settings.binary.clone(), settings.folder.clone(), proxies);
    let production = Production::start(&bootstrap, TOPIC, PRODUCED_A_SECOND, stream.to_produce());
    let chronicle = Chronicle::new();

    let harm = Harm {
        until: Instant::now() + Duration::from_secs(settings.seconds),
        chronicle: &chronicle,
        observers: &observers,
        production: &production,
    };
    harm.everything(&mut random, &mut world, &mut fleet, &topics);
    chronicle.say("all faults are over");
    let healed = Instant::now();
    if settings.settle {
        harm.until_settled(&mut fleet, &stream);
        chronicle.say("all is committed; the account");
    }
    let settled_after = healed.elapsed();
    assert_eq!(production.join(), stream.len(), "messages produced as planned");
    fleet.stop();

    let ended = Ended { settings, stream, world, chronicle, settled_after };
    ended.report(observers)
}

/// A run in which nothing moves any more.
struct Ended<'a> {
    settings: &'a Settings,
    stream: Arc<Stream>,
    world: World,
    chronicle: Chronicle,
    settled_after: Duration,
}

impl Ended<'_> {
    fn report(&self, observers: [Observer; 2]) -> Report {
        let Settings { seed, seconds, .. } = *self.settings;
        let mut report = Report::new(seed, seconds, self.stream.len(), self.settled_after);
        for kind in Kind::POISON {
            report.count(kind.name(), self.stream.count(kind));
        }
        for (kind, count) in self.chronicle.counts() {
            report.count(kind, count);
        }
        for observer in observers {
            for (fault, count) in observer.proxy.struck() {
                report.count(fault.name(), count);
            }
            report.parts.push(self.part(observer));
        }
        report
    }

    fn part(&self, observer: Observer) -> Part {
        let Observer { target, proxy, letters_due, watch } = observer;
        assert_eq!(watch.log_ends(), self.stream.ends(), "where the partitions end");
        let World { cluster, influxdb, prometheus } = &self.world;
        let rows = if target == INFLUXDB {
            evidence::stored_in_influxdb(influxdb)
        } else {
            evidence::stored_in_prometheus(prometheus, self.settings.seconds)
        };
        let topic = target.dead_topic();
        let letters = evidence::letters(cluster.bootstrap(), &topic, DEAD_PARTITIONS);
        let account = Account::of(target, &self.stream, &rows, &letters, &self.chronicle);
        let databases = addresses([influxdb.url(), prometheus.url()]);
        let audit = || Audit::of(target, self.settings, &databases, &account);
        let seen = watch.end();
        let repeats = proxy.log().repeats;
        Part {
            name: target.name,
            audit: self.settings.settle.then(audit),
            account,
            ahead: seen.ahead + letters_due.ahead_of(&letters),
            first_ahead: seen.first_ahead,
            commits: seen.commits,
            repeats,
        }
    }
}

/// By the names that the configuration has for them.
fn addresses([influxdb, prometheus]: [&str; 2]) -> [(&'static str, String); 2] {
    [("INFLUXDB", influxdb.to_owned()), ("PROMETHEUS", prometheus.to_owned())]
}

/// The time in which faults happen, and after.
struct Harm<'a> {
    until: Instant,
    chronicle: &'a Chronicle,
    observers: &'a [Observer; 2],
    production: &'a Production,
}

impl Harm<'_> {
    fn everything(
        &self,
        random: &mut Random,
        world: &mut World,
        fleet: &mut Fleet,
        topics: &[String],
    ) {
        let mut lane =
            || Lane { chronicle: self.chronicle, random: random.fork(), until: self.until };
        let World { cluster, influxdb, prometheus } = world;
        let [one, other] = self.observers;
        let names = |server, killed, frozen| Names { server, killed, frozen };
        let of_influxdb = names("InfluxDB", "influxdb_killed", "influxdb_frozen");
        let of_prometheus = names("Prometheus", "prometheus_killed", "prometheus_frozen");
        let lanes = [lane(), lane(), lane(), lane(), lane(), lane()];
        let [net1, net2, db1, db2, brokers, processes] = lanes;
        thread::scope(|scope| {
            let lanes = [
                scope.spawn(|| lanes::harm_network(net1, &one.proxy)),
                scope.spawn(|| lanes::harm_network(net2, &other.proxy)),
                scope.spawn(|| lanes::harm_database(db1, influxdb, of_influxdb)),
                scope.spawn(|| lanes::harm_database(db2, prometheus, of_prometheus)),
                scope.spawn(|| lanes::harm_brokers(brokers, cluster, topics)),
                scope.spawn(|| lanes::harm_fleet(processes, fleet)),
            ];
            let mut tell = Instant::now() + TELL_EVERY;
            while !lanes.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(50));
                if Instant::now() >= tell {
                    tell += TELL_EVERY;
                    self.tell_progress();
                }
            }
        });
    }

    fn tell_progress(&self) {
        let faults: usize = self.chronicle.counts().values().sum::<usize>()
            + self.observers.iter().flat_map(|o| o.proxy.struck().into_values()).sum::<usize>();
        let [one, other] = self.observers.each_ref().map(Observer::committed);
        self.chronicle.say(&format!(
            "produced {}, committed {one} ({}) and {other} ({}), {faults} faults",
            self.production.as_planned(),
            INFLUXDB.name,
            PROMETHEUS.name,
        ));
    }

    /// # Panics
    /// When a process ends, or nothing moves any longer.
    fn until_settled(&self, fleet: &mut Fleet, stream: &Stream) {
        let (mut moved, mut last) = (Instant::now(), None);
        let mut tell = Instant::now() + TELL_EVERY;
        let ends = stream.ends();
        while self.observers.iter().any(|o| o.watch.observed().committed != ends) {
            fleet.assert_run();
            assert_eq!(self.production.astray(), 0, "messages astray: Kafka, or the producer");
            let progress = self
                .observers
                .each_ref()
                .map(|observer| (observer.proxy.log().exchanges(), observer.committed()));
            let now = Some((self.production.as_planned(), progress));
            if now != last {
                (moved, last) = (Instant::now(), now);
            }
            if moved.elapsed() > STALLED_AFTER {
                self.tell_progress();
                for observer in self.observers {
                    let committed = observer.watch.observed().committed;
                    println!("{}: {committed:?} of {ends:?}", observer.watch.group());
                }
                panic!("nothing has moved for {STALLED_AFTER:?}{}", fleet.log_tails());
            }
            if Instant::now() >= tell {
                tell += TELL_EVERY;
                self.tell_progress();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// An empty folder for this run's configuration and logs, which stay.
pub fn fresh_folder(path: &Path) -> PathBuf {
    // It may not be there, and that is as good.
    let _ = std::fs::remove_dir_all(path);
    std::fs::create_dir_all(path).expect("room for a folder");
    path.to_owned()
}
