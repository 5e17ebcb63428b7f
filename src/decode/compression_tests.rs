use std::io::Write;

use super::*;

const TEXT: &[u8] = b"m,t=a f=1 1\nm,t=a f=1 2\nm,t=a f=1 3\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn framed(text: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.into_inner().unwrap()
}

/// In blocks, as snappy-java writes a large value.
fn xerial(text: &[u8]) -> Vec<u8> {
    let mut out = [XERIAL, &1u32.to_be_bytes(), &1u32.to_be_bytes()].concat();
    for block in text.chunks(1_000_000) {
        let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
        out.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&block);
    }
    out
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

const KINDS: [Compress; 4] = [gzip, zstd, framed, xerial];

#[test]
fn each_kind_is_told_by_how_it_begins() {
    let mut room = Decompressed::default();
    for compress in KINDS {
        for text in [TEXT, b""] {
            assert_eq!(room.open(&compress(text)).unwrap(), text);
        }
    }
    let two = [gzip(b"a"), gzip(b"b")].concat();
    assert_eq!(room.open(&two).unwrap(), b"ab", "one after the other is one value");
}

#[test]
fn what_is_not_compressed_stays_as_it_is() {
    let mut room = Decompressed::default();
    for text in [TEXT, b"", b"(text)", b"\x82", b"\xFF\xFE", b"\x28\xB5\x2F", b"\x1F"] {
        assert_eq!(room.open(text).unwrap(), text);
    }
}

#[test]
fn what_is_cut_off_or_broken_is_refused() {
    let mut room = Decompressed::default();
    for compress in KINDS {
        let whole = compress(TEXT);
        for end in 17..whole.len() {
            assert!(room.open(&whole[..end]).is_err(), "{end} of {}", whole.len());
        }
    }
    let mut wrong = gzip(TEXT);
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    assert!(room.open(&wrong).unwrap_err().what.starts_with("the value begins as gzip"));
}

#[test]
fn a_value_has_a_limit_whatever_it_says_of_itself() {
    let (most, more) = (vec![b'a'; 1 << 20], vec![b'a'; (1 << 20) + 1]);
    let mut room = Decompressed { most: 1 << 20, ..Decompressed::default() };
    for compress in KINDS {
        assert_eq!(room.open(&compress(&most)).unwrap().len(), 1 << 20);
        let error = room.open(&compress(&more)).unwrap_err();
        assert_eq!(error.what, "the value has more than 1 MiB when it is decompressed");
    }
    let bomb = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
    assert!(snappy_block(&bomb).is_none(), "a promise of 4 GiB");
    room.open(&gzip(TEXT)).unwrap();
    assert!(room.plain.capacity() <= KEPT, "room is given back");
}
