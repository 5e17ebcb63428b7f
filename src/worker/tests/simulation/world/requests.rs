//! Requests on their way to the database.

use super::*;

impl World {
    /// A request leaves. When its answer comes.
    pub(in crate::worker::tests::simulation) fn send(
        &mut self,
        life: LifeId,
        to: &str,
        body: usize,
        items: Vec<Item>,
    ) -> (usize, Duration) {
        let faults = self.schedule.faults.clone();
        let now = self.now;
        self.count("requests");
        self.note(|| {
            let places: Vec<_> =
                items.iter().map(|i| (i.place.partition, i.place.offset)).collect();
            format!("life {life} writes {places:?} to {to:?}")
        });
        self.check_destination(to, &items);
        self.check_windows(&items);
        let is_down = |outage: &&Outage| {
            (outage.from..outage.to).contains(&now) && outage.at.as_ref().is_none_or(|at| at == to)
        };
        let outage = self.outages.iter().find(is_down).map(|outage| outage.trouble);
        let (delay, arrives, answer) = if let Some(trouble) = outage {
            let (delay, answer) = self.trouble(trouble);
            (delay, None, Some(answer))
        } else if self.fails(faults.write_fails) {
            let troubles = [Trouble::Refused, Trouble::Silent, Trouble::Busy];
            let trouble = troubles[self.dice.index(3)];
            let (delay, answer) = self.trouble(trouble);
            (delay, None, Some(answer))
        } else if self.fails(faults.answer_lost) {
            self.count("lost answers");
            // It may arrive when its sender has given up.
            let delay = self.dice.up_to(millis(4000));
            (delay, Some(self.dice.up_to(millis(6000))), Some(unavailable("timed out", None, true)))
        } else {
            let slow = if self.fails(faults.slow) { millis(8000) } else { millis(20) };
            let delay = self.dice.up_to(slow);
            (delay, Some(delay), None)
        };
        self.requests.push(Request { life, body, items, answer: answer.map(Err), dropped: false });
        let number = self.requests.len() - 1;
        if let Some(after) = arrives {
            self.plan(now + after, Happening::Request(number));
        }
        (number, now + delay)
    }

    fn check_destination(&mut self, to: &str, items: &[Item]) {
        for item in items {
            let Place { partition, offset } = item.place;
            let entry = if partition == WINDOW {
                let series = item.series.strip_suffix(" sum").unwrap();
                self.logs.iter().flat_map(|log| &log.entries).find(|entry| entry.series == series)
            } else {
                self.logs[usize::try_from(partition).unwrap()].at(offset)
            };
            let says = entry.unwrap().destination.clone();
            if says != to {
                self.violation(format!("{:?} of {says:?} is sent to {to:?}", (partition, offset)));
            }
        }
    }

    /// A window has one value, however often it is written.
    fn check_windows(&mut self, items: &[Item]) {
        for item in items.iter().filter(|item| item.place.partition == WINDOW) {
            self.count("windows");
            let series = item.series.strip_suffix(" sum").unwrap().to_owned();
            let expected = self.windows.sums.get(&(series, item.millis)).copied();
            if expected != Some(item.place.offset) {
                let found = item.place.offset;
                self.violation(format!(
                    "the window of {} at {} has {found}, and should have {expected:?}",
                    item.series, item.millis
                ));
            }
        }
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) -> (Duration, SinkError) {
        self.count("failed requests");
        let short = self.dice.up_to(millis(30));
        match trouble {
            Trouble::Refused => (short, unavailable("connection refused", None, false)),
            Trouble::Silent => {
                let answer = unavailable("timed out", None, true);
                (self.dice.up_to(millis(5000)), answer)
            }
            Trouble::Busy => {
                let after = self.dice.up_to(millis(5000));
                (short, unavailable("503", Some(after), false))
            }
            Trouble::Misconfigured => (short, SinkError::Misconfigured { reason: "401".into() }),
        }
    }

    pub(super) fn request_arrives(&mut self, number: usize) {
        let (answers, largest) = (self.schedule.answers, self.schedule.limits.body);
        let request = &mut self.requests[number];
        if request.dropped {
            return;
        }
        let (body, items) = (request.body, &request.items);
        let verdict = self.database.take(answers, largest, body, items, &self.logs);
        request.answer.get_or_insert_with(|| verdict.clone());
        if verdict.is_err() {
            self.count("refused requests");
        }
        self.note(|| format!("request {number} arrives: {verdict:?}"));
        if let Some(place) = self.database.dropped_silently {
            self.violation(format!("{place:?} stood out of order in its request"));
        }
    }

    pub(in crate::worker::tests::simulation) fn answer(
        &self,
        number: usize,
    ) -> Result<(), SinkError> {
        self.requests[number].answer.clone().unwrap()
    }
}

fn unavailable(reason: &str, retry_after: Option<Duration>, perhaps_stored: bool) -> SinkError {
    SinkError::Unavailable { reason: reason.into(), retry_after, perhaps_stored }
}
