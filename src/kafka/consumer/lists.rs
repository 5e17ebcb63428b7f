//! Partitions, places and offsets as librdkafka's lists.

use rdkafka::topic_partition_list::{
    Offset as LibraryOffset, TopicPartitionList, TopicPartitionListElem,
};

use crate::kafka::{KafkaError, Place};
use crate::record::{NextOffset, Offset, TopicPartition};
use crate::watermark::Covers;

pub(super) fn partition_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

pub(super) fn place_list(places: &[Place]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    add_places(&mut list, places)?;
    Ok(list)
}

pub(super) fn add_places(
    list: &mut TopicPartitionList,
    places: &[Place],
) -> Result<(), KafkaError> {
    for (partition, offset) in places {
        let offset = offset.map_or(LibraryOffset::Stored, |next| LibraryOffset::Offset(next.0));
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    Ok(())
}

pub(super) fn offset_list(offsets: &Covers) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, next) in offsets {
        let (offset, text) = next.committed();
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(LibraryOffset::Offset(offset.0))?;
        if !text.is_empty() {
            element.set_metadata(text);
        }
    }
    Ok(list)
}

/// What was committed of a partition, if anything.
pub(super) fn committed_of(element: &TopicPartitionListElem<'_>) -> Option<NextOffset> {
    match element.offset() {
        LibraryOffset::Offset(from) => {
            Some(NextOffset::of_committed(Offset(from), element.metadata()))
        }
        _ => None,
    }
}

/// The same of a whole answer.
pub(in crate::kafka) fn committed_covers(list: &TopicPartitionList) -> Result<Covers, KafkaError> {
    let mut covers = Covers::new();
    for element in list.elements() {
        element.error()?;
        if let Some(next) = committed_of(&element) {
            let partition =
                TopicPartition { topic: element.topic().into(), partition: element.partition() };
            covers.insert(partition, next);
        }
    }
    Ok(covers)
}
