//! A message of the safe client as a record, for whoever reads few.

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::record::{Offset, Record};

impl Record for BorrowedMessage<'_> {
    fn topic(&self) -> &str {
        rdkafka::Message::topic(self)
    }

    fn partition(&self) -> i32 {
        rdkafka::Message::partition(self)
    }

    fn offset(&self) -> Offset {
        Offset(rdkafka::Message::offset(self))
    }

    fn key(&self) -> Option<&[u8]> {
        rdkafka::Message::key(self)
    }

    fn value(&self) -> Option<&[u8]> {
        self.payload()
    }

    fn timestamp_millis(&self) -> Option<i64> {
        rdkafka::Message::timestamp(self).to_millis()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let headers = rdkafka::Message::headers(self)?;
        headers.iter().filter(|header| header.key == name).last()?.value
    }

    fn headers(&self) -> Vec<(&str, Option<&[u8]>)> {
        rdkafka::Message::headers(self)
            .map(|headers| headers.iter().map(|header| (header.key, header.value)).collect())
            .unwrap_or_default()
    }
}
