//! What a commit may cover: points that the database has acknowledged to the proxy, and letters that are in their topic.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::account::Letter;
use crate::stream::Stream;
use crate::support::proxy::Proxy;
use crate::support::watch::{Advance, NotDurable};
use crate::target::Target;

/// Records that need a letter, and a moment by which they were committed. They are held against the letters at the end,
/// because a letter can't be read sooner than it can be committed.
#[derive(Clone, Default)]
pub struct LettersDue(Arc<Mutex<Vec<Due>>>);

#[derive(Debug, Clone, Copy)]
struct Due {
    partition: usize,
    offset: usize,
    by_ms: i64,
}

impl LettersDue {
    pub fn push(&self, partition: usize, offset: usize, by_ms: i64) {
        self.0.lock().unwrap().push(Due { partition, offset, by_ms });
    }

    /// How many were committed before their first letter was in its topic.
    pub fn ahead_of(&self, letters: &[Letter]) -> usize {
        let mut first = HashMap::new();
        for letter in letters {
            let at_ms = first.entry((letter.partition, letter.offset)).or_insert(letter.at_ms);
            *at_ms = letter.at_ms.min(*at_ms);
        }
        let due = self.0.lock().unwrap();
        let in_time =
            |due: &&Due| first.get(&(due.partition, due.offset)).is_some_and(|at| *at <= due.by_ms);
        due.iter().filter(|due| !in_time(due)).count()
    }
}

pub fn not_durable(
    target: Target,
    stream: &Arc<Stream>,
    proxy: &Arc<Proxy>,
    letters: &LettersDue,
) -> NotDurable {
    let (stream, proxy, letters) = (Arc::clone(stream), Arc::clone(proxy), letters.clone());
    Box::new(move |advance: &Advance| {
        let log = proxy.log();
        let mut missing = Vec::new();
        for offset in advance.offsets.clone() {
            let number = stream.at_offset(advance.partition, offset);
            match number.map(|number| (number, target.stores(stream.kind(number)))) {
                Some((_, false)) => letters.push(advance.partition, offset, advance.by_ms),
                Some((number, true)) if log.was_acknowledged(stream.point(number), advance.by) => {}
                _ => missing.push(offset),
            }
        }
        missing
    })
}
