//! `tidegate dlq replay`: the letters through their connector again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::list::block;
use super::{FAILED, Target, Trouble, bar, dead_letters, letters, print};
use crate::batch::{OpenParts, RecordIndex};
use crate::cli::STOPPED_AT_ONCE;
use crate::connector::{self, Replay, ReplayCounts};
use crate::dead_letter::{Account, DeadLetters, Origin, Reasons};
use crate::decode::Refusal;
use crate::deliver;
use crate::kafka::range::{Bound, TopicReader};
use crate::map::Scratch;
use crate::record::{Offset, Record, TopicPartition};
use crate::replay::{Replayed as Original, is_of};
use crate::sink::Sink;

/// How often the bar moves and the worker's end is looked for.
const WATCH: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    target: Target,
    /// Say what would be written and what would be rejected again, and why; write and commit nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: ReplayArguments) -> Result<ExitCode, Trouble> {
    let dead = dead_letters(arguments.target)?;
    connector::may_replay(&dead.connector)?;
    let reader = dead.reader(Bound::Beginning, Bound::End)?;
    let (left, ends) = dead.replayed(reader.partitions())?.left(reader.partitions());
    if arguments.dry_run {
        return dry_run(&dead, reader);
    }
    if left == 0 {
        print(&format!("{}: nothing to replay\n", dead.topic));
        return Ok(ExitCode::SUCCESS);
    }
    replay(&dead, left, ends)
}

fn replay(dead: &DeadLetters, left: u64, ends: BTreeMap<i32, Offset>) -> Result<ExitCode, Trouble> {
    let failed = |error: std::io::Error| Trouble::Other(format!("can't start: {error}"));
    // A replay has one worker.
    let runtime = deliver::runtime(1).map_err(failed)?;
    let replay = dead.replay(ends, &runtime)?;
    let stopped = stop_on_signal(&runtime, &replay.stop).map_err(failed)?;
    let bar = bar(left, "replaying");
    while !replay.worker.is_finished() {
        let so_far = replay.so_far();
        bar.set_position(so_far.read);
        bar.set_message(format!(", {} rejected again", so_far.rejected));
        std::thread::sleep(WATCH);
    }
    bar.finish_and_clear();
    summary(dead, replay, stopped.load(Ordering::Acquire))
}

/// The first signal stops the workers after what they have begun, the second at once. Hands back whether
/// there was one.
pub(in crate::cli) fn stop_on_signal(
    runtime: &Runtime,
    stop: &Arc<AtomicBool>,
) -> std::io::Result<Arc<AtomicBool>> {
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopped = Arc::<AtomicBool>::default();
    let (stop, told) = (Arc::clone(stop), Arc::clone(&stopped));
    runtime.spawn(async move {
        for attempt in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if attempt > 0 {
                std::process::exit(STOPPED_AT_ONCE);
            }
            eprintln!("stopping: delivering what is open; a second signal stops at once");
            told.store(true, Ordering::Release);
            stop.store(true, Ordering::Release);
        }
    });
    Ok(stopped)
}

fn summary(dead: &DeadLetters, replay: Replay, stopped: bool) -> Result<ExitCode, Trouble> {
    let ReplayCounts { written, empty, rejected, nowhere, .. } =
        replay.ended().map_err(Trouble::Other)?;
    if stopped {
        let reader = dead.reader(Bound::Beginning, Bound::End)?;
        let (left, _) = dead.replayed(reader.partitions())?.left(reader.partitions());
        print(&format!(
            "{}: stopped; {} left, with those rejected again: a further replay goes on there\n",
            dead.topic,
            letters(left)
        ));
        return Ok(ExitCode::from(FAILED));
    }
    let mut lines = vec![account(dead, "replayed", [written, empty, rejected])];
    if rejected > 0 {
        let again = "those rejected again are new letters; `tidegate dlq list` has the reasons";
        lines.push(again.to_owned());
    }
    if nowhere > 0 {
        let nowhere = letters(nowhere);
        lines.push(format!("{nowhere} left out: no headers say where the record was read"));
    }
    print(&(lines.join("\n") + "\n"));
    let all = rejected == 0 && nowhere == 0;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// `x.dead: replayed 3 letters: 2 written, 1 rejected again`
fn account(dead: &DeadLetters, what: &str, [written, empty, rejected]: [u64; 3]) -> String {
    let all = letters(written + empty + rejected);
    let empty = if empty > 0 { format!(", {empty} empty") } else { String::new() };
    format!("{}: {what} {all}: {written} written{empty}, {rejected} rejected again", dead.topic)
}

/// Maps and encodes each letter that is left, and says what came of it.
fn dry_run(dead: &DeadLetters, mut reader: TopicReader) -> Result<ExitCode, Trouble> {
    let replayed = dead.replayed(reader.partitions())?;
    let sink = Sink::new(&dead.connector.sink, dead.connector.delivery.timeout)
        .map_err(|error| Trouble::Other(error.to_string()))?;
    let mut transform = connector::transform(&dead.connector, &sink);
    let (mut scratch, mut open) = (Scratch::default(), OpenParts::default());
    let (mut written, mut empty, mut reasons) = (0, 0, Reasons::default());
    let bar = bar(reader.len(), "reading");
    while let Some(letter) = reader.next_record()? {
        let (topic, number, offset) = letter.place();
        let partition = TopicPartition { topic: topic.into(), partition: number };
        if replayed.includes(&partition, offset) || !is_of(&letter, &dead.written_by) {
            continue;
        }
        let at = letter.timestamp_millis();
        let rejected = match Original::new(letter) {
            None => Some(("replay", "no headers say where the record was read".to_owned(), None)),
            Some(record) => {
                match transform.apply(&record, RecordIndex(0), &mut scratch, &mut open) {
                    Ok(point) => {
                        *(if point.is_some() { &mut written } else { &mut empty }) += 1;
                        open.clear();
                        None
                    }
                    Err(Refusal::Unavailable(reason)) => return Err(Trouble::Other(reason)),
                    Err(Refusal::Rejected(reject)) => {
                        Some((reject.stage.name(), reject.reason, Some(Origin::new(&record))))
                    }
                }
            }
        };
        if let Some((stage, reason, origin)) = rejected {
            let account = Account { connector: None, origin, stage: stage.to_owned(), reason };
            reasons.add(account, &partition, offset, at, false);
        }
        bar.set_position(reader.passed());
    }
    bar.finish_and_clear();
    let groups = reasons.into_groups();
    let rejected: u64 = groups.iter().map(|group| group.count).sum();
    let mut lines = vec![
        account(dead, "would replay", [written, empty, rejected]),
        "what the database would refuse is not asked\n".to_owned(),
    ];
    lines.extend(groups.iter().map(block));
    print(&lines.join("\n"));
    Ok(if rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
