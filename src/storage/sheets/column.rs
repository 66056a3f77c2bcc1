//! A column of a sheet as bytes: a number per entry, each as wide as the largest one needs.
//!
//! The first byte is the width: 1, 2, 4 or 8 bytes per number, little-endian; or 0, then one number of eight bytes stands
//! for all entries.

use crate::storage::{StorageError, StorageResult};

/// The bytes of a column.
pub(super) fn encode(values: &[u64]) -> Vec<u8> {
    let first = values.first().copied().unwrap_or(0);
    let (mut most, mut same) = (0, true);
    for value in values {
        most = most.max(*value);
        same &= *value == first;
    }
    let width: usize = match most {
        _ if same => 0,
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let mut bytes = Vec::with_capacity(9 + width * values.len());
    bytes.push(width as u8);
    if width == 0 {
        bytes.extend_from_slice(&first.to_le_bytes());
    }
    for value in values.iter().take(if width == 0 { 0 } else { values.len() }) {
        bytes.extend_from_slice(&value.to_le_bytes()[..width]);
    }
    bytes
}

/// The numbers of a column of so many entries.
pub(super) fn decode(bytes: &[u8], entries: usize) -> StorageResult<Vec<u64>> {
    let damaged = || StorageError::Unreadable("a column of a sheet".to_owned());
    let (width, data) = bytes.split_first().ok_or_else(damaged)?;
    let width = usize::from(*width);
    if data.len() != if width == 0 { 8 } else { width.saturating_mul(entries) } {
        return Err(damaged());
    }
    Ok(match width {
        0 => vec![data.try_into().map(u64::from_le_bytes).map_err(|_| damaged())?; entries],
        1 => data.iter().map(|byte| u64::from(*byte)).collect(),
        2 => data.as_chunks::<2>().0.iter().map(|bytes| u64::from(u16::from_le_bytes(*bytes))).collect(),
        4 => data.as_chunks::<4>().0.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).collect(),
        8 => data.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect(),
        _ => return Err(damaged()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_back_and_takes_the_room_of_its_largest_number() {
        for (values, bytes) in [
            (vec![], 9),
            (vec![7; 1000], 9),
            (vec![0, 255], 3),
            (vec![0, 256, 3], 7),
            (vec![1, 70_000], 9),
            (vec![1, u64::MAX, 5], 25),
        ] {
            let encoded = encode(&values);
            assert_eq!(encoded.len(), bytes, "{values:?}");
            assert_eq!(decode(&encoded, values.len()).unwrap(), values);
            assert!(decode(&encoded[..encoded.len() - 1], values.len()).is_err());
        }
        assert!(decode(&[3, 0, 0, 0], 1).is_err());
        assert!(decode(&[], 0).is_err());
    }
}
