//! Fetched records, taken from librdkafka many at a time.
//!
//! Its safe client takes one a call, for which librdkafka reads the clock four times and makes an
//! event: measured (docs/performance.md), that was half of what polling cost. So this is the one
//! module with `unsafe`: the partitions are forwarded to a queue of their own, which
//! `rd_kafka_consume_batch_queue` empties. Rebalances, errors of the client and statistics stay in the
//! client's queue, for the safe client to poll; one that comes there ends a wait for records.
#![expect(
    unsafe_code,
    reason = "the batch calls are in no safe client; each block says why it is sound"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::{RDKafka, RDKafkaErrorCode, RDKafkaMessage, RDKafkaQueue};

use super::context::Context;
use crate::kafka::PartitionEnd;
use crate::record::{Offset, Record, TopicPartition};

/// Taken at once. What is taken no longer counts against `queued.max.messages.kbytes`, so that both
/// limits hold what was taken as well.
const MOST: usize = 256;
const MOST_BYTES: usize = 1 << 20;

/// The queue that the owned partitions are forwarded to, and what was taken from it.
pub(super) struct Fetches {
    queue: Queue,
    /// The client's.
    events: Queue,
    state: RefCell<State>,
    /// Whether the ends of partitions are among what is fetched. librdkafka's call for many counts one as a record
    /// that was taken, and after a pause goes on behind it, where nothing is: so each is taken by a call of its own.
    tells_ends: bool,
    /// The queues must go before the client does.
    client: Arc<BaseConsumer<Context>>,
}

/// Owns a queue, or a reference to one of the client's.
struct Queue(NonNull<RDKafkaQueue>);

#[derive(Default)]
struct State {
    /// Owned and not paused.
    read: HashSet<TopicPartition>,
    taken: VecDeque<Message>,
    /// Taken before their partitions were paused.
    set_aside: VecDeque<Message>,
    /// To be taken next time, by the size of the last ones.
    most: usize,
    /// Room for the pointers.
    room: Vec<*mut RDKafkaMessage>,
}

/// What librdkafka gives for a record, or in place of one.
pub(super) enum Fetched<'c> {
    Record(FetchedRecord<'c>),
    /// Of a partition.
    Failed {
        code: RDKafkaErrorCode,
        partition: i32,
        reason: String,
    },
}

/// A consumed record, in librdkafka's memory.
pub struct FetchedRecord<'c> {
    message: Message,
    /// The client must outlive it.
    client: PhantomData<&'c Fetches>,
}

/// Owns a message.
struct Message {
    message: NonNull<RDKafkaMessage>,
    /// Its topic's name, which lives as long as the message.
    topic: NonNull<str>,
}

// SAFETY: librdkafka's objects may be used from any thread, by its introduction ("thread-safe"), and
// what a `Fetches` holds besides can be sent.
unsafe impl Send for Fetches {}
// SAFETY: the same; no other thread has a message while one owns it.
unsafe impl Send for Message {}

impl Fetches {
    pub(super) fn new(client: Arc<BaseConsumer<Context>>, tells_ends: bool) -> Option<Self> {
        let native = client.client().native_ptr();
        // SAFETY: the client is alive, and what these return is ours to destroy.
        let (queue, events) = unsafe {
            let queue = Queue(NonNull::new(sys::rd_kafka_queue_new(native))?);
            (queue, Queue(NonNull::new(sys::rd_kafka_queue_get_consumer(native))?))
        };
        // SAFETY: both are alive. `wake` is called while the queue of events is locked, and
        // `Fetches::drop` takes it away, so that it never sees a destroyed queue.
        unsafe {
            let woken = queue.0.as_ptr().cast();
            sys::rd_kafka_queue_cb_event_enable(events.0.as_ptr(), Some(wake), woken);
        }
        let state = RefCell::new(State { most: MOST, ..State::default() });
        Some(Self { queue, events, state, tells_ends, client })
    }

    /// Has these partitions' records come here. To be called before they are assigned, so that none
    /// goes to the client's queue, and after it, since the end of an earlier assignment stops it.
    pub(super) fn forward(&self, partitions: &[TopicPartition]) {
        for TopicPartition { topic, partition } in partitions {
            // Kafka's topics have no zero byte in their names.
            let Ok(topic) = CString::new(&**topic) else { continue };
            // SAFETY: client, name and both queues are alive; the reference to the partition's queue
            // is ours to give back.
            unsafe {
                let client = self.client.client().native_ptr();
                let from = sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), *partition);
                if !from.is_null() {
                    sys::rd_kafka_queue_forward(from, self.queue.0.as_ptr());
                    sys::rd_kafka_queue_destroy(from);
                }
            }
        }
    }

    /// The same once more. Were there another way in which librdkafka ends a forwarding, a partition
    /// would stand still, and nobody would be told.
    pub(super) fn forward_again(&self) {
        let read: Vec<_> = self.state.borrow().read.iter().cloned().collect();
        self.forward(&read);
    }

    /// Records of these partitions may come.
    pub(super) fn begin(&self, partitions: &[TopicPartition]) {
        self.state.borrow_mut().read.extend(partitions.iter().cloned());
    }

    /// No record of these partitions comes until [`Fetches::resume`]: those that were taken are kept,
    /// because librdkafka would go on behind them.
    pub(super) fn pause(&self, partitions: &[TopicPartition]) {
        let state = &mut *self.state.borrow_mut();
        for partition in partitions {
            state.read.remove(partition);
        }
        move_those_of(partitions, &mut state.taken, &mut state.set_aside);
    }

    /// What was set aside comes first.
    pub(super) fn resume(&self, partitions: &[TopicPartition]) {
        self.begin(partitions);
        let state = &mut *self.state.borrow_mut();
        let mut first = VecDeque::new();
        move_those_of(partitions, &mut state.set_aside, &mut first);
        first.append(&mut state.taken);
        state.taken = first;
    }

    /// What was taken of these partitions is thrown away.
    pub(super) fn throw_away(&self, partitions: &[TopicPartition]) {
        let state = &mut *self.state.borrow_mut();
        for messages in [&mut state.taken, &mut state.set_aside] {
            messages.retain(|message| !message.is_of(partitions));
        }
    }

    /// These partitions are owned no longer.
    pub(super) fn end(&self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.state.borrow_mut().read.remove(partition);
        }
        self.throw_away(partitions);
    }

    /// Whether a record may come.
    pub(super) fn may_come(&self) -> bool {
        !self.state.borrow().read.is_empty()
    }

    /// The next of what was taken.
    #[inline]
    pub(super) fn next(&self) -> Option<Fetched<'_>> {
        let message = self.state.borrow_mut().taken.pop_front()?;
        Some(message.into_fetched())
    }

    /// The same, if it is a record.
    #[inline]
    pub(super) fn next_record(&self) -> Option<FetchedRecord<'_>> {
        let taken = &mut self.state.borrow_mut().taken;
        let message = taken.pop_front_if(|message| message.is_record())?;
        Some(FetchedRecord { message, client: PhantomData })
    }

    /// Whether the client has an event to tell.
    pub(super) fn is_event(&self) -> bool {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_length(self.events.0.as_ptr()) > 0 }
    }

    /// Whether the group's coordinator knows the client, and no leave has been sent.
    pub(super) fn is_member(&self) -> bool {
        let client = self.client.client().native_ptr();
        // SAFETY: the client is alive; the text ends with a zero, and is ours to free.
        unsafe {
            let id = sys::rd_kafka_memberid(client);
            let is_member = !id.is_null() && *id != 0;
            sys::rd_kafka_mem_free(client, id.cast());
            is_member
        }
    }

    /// Takes what has been fetched; waits for a first record, or an event, if that is nothing.
    pub(super) fn take(&self, timeout: Duration) {
        let state = &mut *self.state.borrow_mut();
        let taken = self.take_most(state, state.most, Duration::ZERO);
        // An event from before the wait no longer ends it: the look at what has been fetched may have
        // taken its sign.
        if taken == 0 && !timeout.is_zero() && !self.is_event() {
            // A wait for many would not end with the first.
            self.take_most(state, 1, timeout);
        }
    }

    fn take_most(&self, state: &mut State, most: usize, timeout: Duration) -> usize {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        state.room.resize(most, null_mut());
        let taken = if self.tells_ends {
            let waits = std::iter::once(millis).chain(std::iter::repeat(0));
            let mut taken = 0;
            for (message, millis) in state.room.iter_mut().zip(waits) {
                // SAFETY: the queue is alive.
                *message = unsafe { sys::rd_kafka_consume_queue(self.queue.0.as_ptr(), millis) };
                if message.is_null() {
                    break;
                }
                taken += 1;
            }
            taken
        } else {
            // SAFETY: the queue is alive, and there is room for as many pointers as are asked for.
            let taken = unsafe {
                let room = state.room.as_mut_ptr();
                sys::rd_kafka_consume_batch_queue(self.queue.0.as_ptr(), millis, room, most)
            };
            // Negative for an error of its arguments, which there can be none of.
            usize::try_from(taken).unwrap_or(0)
        };
        let mut names = Names::default();
        let mut bytes = 0;
        for &message in &state.room[..taken] {
            let Some(message) = NonNull::new(message) else { continue };
            let message = Message { message, topic: names.of(message) };
            bytes += message.raw().len;
            state.taken.push_back(message);
        }
        if let Some(each) = bytes.checked_div(taken) {
            state.most = (MOST_BYTES / each.max(1)).clamp(1, MOST);
        }
        taken
    }

    /// What was set aside has been taken, as librdkafka has it, but no poll has brought it.
    pub(super) fn correct(&self, ends: &mut [PartitionEnd]) {
        for message in &self.state.borrow().set_aside {
            let offset = Offset(message.raw().offset);
            for end in ends.iter_mut().filter(|end| message.is_of(slice::from_ref(&end.partition)))
            {
                end.polled = end.polled.min(offset);
            }
        }
    }
}

impl Drop for Fetches {
    fn drop(&mut self) {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_cb_event_enable(self.events.0.as_ptr(), None, null_mut()) }
        self.state.get_mut().taken.clear();
        self.state.get_mut().set_aside.clear();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: owned, and not used from here on; partitions that are forwarded to it hold a count
        // of their own.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Ends a wait for the queue's records.
unsafe extern "C" fn wake(_: *mut RDKafka, queue: *mut c_void) {
    // SAFETY: who sets this callback keeps the queue alive.
    unsafe { sys::rd_kafka_queue_yield(queue.cast()) }
}

fn move_those_of(
    partitions: &[TopicPartition],
    from: &mut VecDeque<Message>,
    to: &mut VecDeque<Message>,
) {
    for message in std::mem::take(from) {
        let to = if message.is_of(partitions) { &mut *to } else { &mut *from };
        to.push_back(message);
    }
}

/// The name of the last message's topic: the next one is mostly of the same.
#[derive(Default)]
struct Names {
    last: Option<(*mut sys::rd_kafka_topic_t, NonNull<str>)>,
}

impl Names {
    fn of(&mut self, message: NonNull<RDKafkaMessage>) -> NonNull<str> {
        // SAFETY: the message is alive, as is the one before it, whose topic can't have become another.
        let topic = unsafe { message.as_ref().rkt };
        if let Some((_, name)) = self.last.filter(|(last, _)| *last == topic) {
            return name;
        }
        // SAFETY: the message holds its topic, and the topic its name, which ends with a zero.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(topic)) };
        // Kafka's names are of ASCII.
        let name = NonNull::from(name.to_str().unwrap_or_default());
        self.last = Some((topic, name));
        name
    }
}

impl Message {
    #[inline]
    fn raw(&self) -> &RDKafkaMessage {
        // SAFETY: owned, so alive until `drop`, and nobody writes to it.
        unsafe { self.message.as_ref() }
    }

    #[inline]
    fn topic(&self) -> &str {
        // SAFETY: lives as long as the message, see `Names::of`.
        unsafe { self.topic.as_ref() }
    }

    fn is_of(&self, partitions: &[TopicPartition]) -> bool {
        let (topic, number) = (self.topic(), self.raw().partition);
        partitions.iter().any(|own| own.partition == number && *own.topic == *topic)
    }

    /// And no error.
    #[inline]
    fn is_record(&self) -> bool {
        self.raw().err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    fn into_fetched<'c>(self) -> Fetched<'c> {
        // An error's code is made another type, which takes a call.
        if self.is_record() {
            return Fetched::Record(FetchedRecord { message: self, client: PhantomData });
        }
        let code = RDKafkaErrorCode::from(self.raw().err);
        // SAFETY: the message is alive, and the text is its own or static.
        let reason = unsafe { text(sys::rd_kafka_message_errstr(self.message.as_ptr())) };
        Fetched::Failed { code, partition: self.raw().partition, reason }
    }

    fn headers(&self) -> *mut sys::rd_kafka_headers_t {
        let mut headers = null_mut();
        // SAFETY: the message is alive, and the headers stay its own. Without any, the pointer stays
        // null.
        unsafe { sys::rd_kafka_message_headers(self.message.as_ptr(), &raw mut headers) };
        headers
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: owned, and not used from here on.
        unsafe { sys::rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

impl Record for FetchedRecord<'_> {
    fn topic(&self) -> &str {
        self.message.topic()
    }

    fn partition(&self) -> i32 {
        self.message.raw().partition
    }

    fn offset(&self) -> Offset {
        Offset(self.message.raw().offset)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn expect_drop(&self) {
        // The message lies in an object of librdkafka's (`rd_kafka_op_s`) that begins 120 bytes before it and takes
        // five lines of the cache. To ask the message where that begins would be the wait.
        let first = self.message.message.as_ptr().cast::<i8>().wrapping_sub(120);
        debug_assert_eq!(
            self.message.raw()._private.cast(),
            first,
            "librdkafka lays its messages out in another way"
        );
        for line in 0..5 {
            // SAFETY: it is a hint, and may be given of any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(64 * line)) };
        }
    }

    fn key(&self) -> Option<&[u8]> {
        let RDKafkaMessage { key, key_len, .. } = *self.message.raw();
        // SAFETY: the message's own bytes, as long as it is borrowed.
        unsafe { bytes(key.cast(), key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        let RDKafkaMessage { payload, len, .. } = *self.message.raw();
        // SAFETY: the same.
        unsafe { bytes(payload.cast(), len) }
    }

    fn timestamp_millis(&self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let message = self.message.message.as_ptr();
        // SAFETY: the message is alive.
        let millis = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
        let is_known = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (is_known && millis != -1).then_some(millis)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let headers = self.message.headers();
        if headers.is_null() {
            return None;
        }
        let name = CString::new(name).ok()?;
        let (mut value, mut len) = (null(), 0);
        // SAFETY: headers and name are alive, and the value is the message's own.
        unsafe {
            let (to, size) = (&raw mut value, &raw mut len);
            sys::rd_kafka_header_get_last(headers, name.as_ptr(), to, size);
            bytes(value.cast(), len)
        }
    }

    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        let headers = self.message.headers();
        if headers.is_null() {
            return Vec::new();
        }
        let header = |index| {
            let (mut name, mut value, mut len) = (null(), null(), 0);
            // SAFETY: the headers are alive, and what is found in them is the message's own.
            unsafe {
                let (key, to, size) = (&raw mut name, &raw mut value, &raw mut len);
                let found = sys::rd_kafka_header_get_all(headers, index, key, to, size);
                if RDKafkaErrorCode::from(found) != RDKafkaErrorCode::NoError {
                    return None;
                }
                let name = CStr::from_ptr(name).to_str().unwrap_or_default();
                Some((name, bytes(value.cast(), len)))
            }
        };
        (0..).map_while(header).collect()
    }
}

impl std::fmt::Debug for FetchedRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (topic, number, offset) = self.place();
        write!(f, "{topic}[{number}]@{offset}")
    }
}

/// # Safety
/// Where `start` isn't null, so many bytes from there must be alive and stay as they are.
#[inline]
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}

/// # Safety
/// Where `start` isn't null, it must be a text that ends with a zero.
unsafe fn text(start: *const std::ffi::c_char) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}
