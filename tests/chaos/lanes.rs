//! The lanes: in each, one fault follows the other, chosen by chance; beside each other they meet in any combination.

use std::thread;
use std::time::{Duration, Instant};

use crate::chronicle::{Chronicle, THAWED};
use crate::fleet::{self, Fleet};
use crate::stack::cluster::{Broker, Cluster};
use crate::stack::{InfluxDb2, Prometheus};
use crate::support::Random;
use crate::support::proxy::{Fault, Proxy};

/// No request comes by for so long: then this fault is given up, and the next is tried.
const HARMS_WITHIN: Duration = Duration::from_secs(8);
/// Longer than the sessions of the connectors, so that a frozen member is thrown out.
const LONG_FREEZE: Duration = Duration::from_secs(8);

/// How a lane spends its time.
pub struct Lane<'a> {
    pub chronicle: &'a Chronicle,
    pub random: Random,
    pub until: Instant,
}

impl Lane<'_> {
    /// A rest of about so long; whether there is time left for another fault.
    fn rest(&mut self, about: Duration) -> bool {
        let rest = self.about(about).min(self.until.saturating_duration_since(Instant::now()));
        thread::sleep(rest);
        Instant::now() < self.until
    }

    /// Half of it to one and a half.
    fn about(&mut self, duration: Duration) -> Duration {
        duration.mul_f64(0.5 + self.random.fraction())
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(u32::try_from(limit).expect("a few")) as usize
    }
}

/// Deals every card once, in a random order, before any a second time.
pub struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    pub fn new(cards: &[T]) -> Self {
        Self { all: cards.to_vec(), left: Vec::new() }
    }

    pub fn deal(&mut self, random: &mut Random) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        let count = u32::try_from(self.left.len()).expect("a few");
        self.left.swap_remove(random.below(count) as usize)
    }
}

// --------------------------------------------------------------------------------------------------- the network

pub fn harm_network(mut lane: Lane<'_>, proxy: &Proxy) {
    let mut deck = Deck::new(&Fault::ALL);
    while lane.rest(Duration::from_millis(1200)) {
        let fault = deck.deal(&mut lane.random);
        proxy.harm(fault, 1 + lane.random.below(4));
        let given_up = Instant::now() + HARMS_WITHIN;
        while proxy.is_harmful() && Instant::now() < given_up.min(lane.until) {
            thread::sleep(Duration::from_millis(20));
        }
        proxy.heal();
    }
}

// --------------------------------------------------------------------------------------------------- the servers

/// What can be done to the process of a server, whichever it is.
pub trait Server {
    fn kill(&mut self);
    fn restart(&mut self);
    fn freeze(&mut self);
    fn thaw(&mut self);
}

macro_rules! server {
    ($server:ty) => {
        impl Server for $server {
            fn kill(&mut self) {
                self.kill();
            }

            fn restart(&mut self) {
                self.restart();
            }

            fn freeze(&mut self) {
                self.freeze();
            }

            fn thaw(&mut self) {
                self.thaw();
            }
        }
    };
}
server!(Broker);
server!(InfluxDb2);
server!(Prometheus);

#[derive(Debug, Clone, Copy)]
enum ServerFault {
    Kill,
    Freeze,
}

/// How the faults of a kind of server are named.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub server: &'static str,
    pub killed: &'static str,
    pub frozen: &'static str,
}

pub fn harm_database(mut lane: Lane<'_>, server: &mut dyn Server, names: Names) {
    let mut deck = Deck::new(&[ServerFault::Kill, ServerFault::Freeze]);
    while lane.rest(Duration::from_secs(9)) {
        let fault = deck.deal(&mut lane.random);
        harm_server(&mut lane, server, fault, names, names.server);
    }
}

/// One broker at a time, and the next one only when all replicas are in sync again: so nothing that was confirmed is
/// lost by Kafka itself.
pub fn harm_brokers(mut lane: Lane<'_>, cluster: &mut Cluster, topics: &[String]) {
    let names = Names { server: "broker", killed: "broker_killed", frozen: "broker_frozen" };
    let mut deck = Deck::new(&[ServerFault::Kill, ServerFault::Freeze]);
    while lane.rest(Duration::from_secs(6)) {
        let (fault, number) = (deck.deal(&mut lane.random), lane.below(cluster.brokers()));
        let name = format!("broker {number}");
        harm_server(&mut lane, cluster.broker(number), fault, names, &name);
        cluster.wait_in_sync(topics);
        lane.chronicle.say("all replicas are in sync");
    }
}

fn harm_server(
    lane: &mut Lane<'_>,
    server: &mut dyn Server,
    fault: ServerFault,
    names: Names,
    name: &str,
) {
    let away = lane.about(Duration::from_secs(3));
    match fault {
        ServerFault::Kill => {
            server.kill();
            lane.chronicle.tell(names.killed, &format!("{name} is killed for {away:.1?}"));
            thread::sleep(away);
            server.restart();
        }
        ServerFault::Freeze => {
            server.freeze();
            lane.chronicle.tell(names.frozen, &format!("{name} is frozen for {away:.1?}"));
            thread::sleep(away);
            server.thaw();
        }
    }
}

// -------------------------------------------------------------------------------------------------- the processes

#[derive(Debug, Clone, Copy)]
enum FleetFault {
    Kill,
    Freeze,
    FreezeBeyondSession,
    JoinOrLeave,
}

pub fn harm_fleet(mut lane: Lane<'_>, fleet: &mut Fleet) {
    let mut deck = Deck::new(&[
        FleetFault::Kill,
        FleetFault::Freeze,
        FleetFault::FreezeBeyondSession,
        FleetFault::Kill,
        FleetFault::JoinOrLeave,
        FleetFault::JoinOrLeave,
    ]);
    while lane.rest(Duration::from_secs(4)) {
        match deck.deal(&mut lane.random) {
            FleetFault::Kill => kill(&mut lane, fleet),
            FleetFault::Freeze => freeze(&mut lane, fleet, Duration::from_secs(2)),
            FleetFault::FreezeBeyondSession => freeze(&mut lane, fleet, LONG_FREEZE),
            FleetFault::JoinOrLeave if fleet.running.len() < Fleet::MOST => {
                fleet.start();
                lane.chronicle.tell("tidegate_joined", "a tidegate joins");
            }
            FleetFault::JoinOrLeave => {
                lane.chronicle.tell("tidegate_left", "a tidegate is asked to leave");
                fleet::leave(&mut fleet.take_any(&mut lane.random));
            }
        }
    }
    fleet.assert_run();
}

fn kill(lane: &mut Lane<'_>, fleet: &mut Fleet) {
    let away = lane.about(Duration::from_secs(2));
    fleet.take_any(&mut lane.random).kill();
    lane.chronicle.tell("tidegate_killed", &format!("a tidegate is killed for {away:.1?}"));
    thread::sleep(away);
    fleet.start();
}

fn freeze(lane: &mut Lane<'_>, fleet: &mut Fleet, about: Duration) {
    let away = lane.about(about);
    let tidegate = fleet.take_any(&mut lane.random);
    tidegate.signal("STOP");
    lane.chronicle.tell("tidegate_frozen", &format!("a tidegate is frozen for {away:.1?}"));
    thread::sleep(away);
    tidegate.signal("CONT");
    lane.chronicle.tell(THAWED, "the tidegate goes on");
    fleet.running.push(tidegate);
}
