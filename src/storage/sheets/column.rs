//! A column of a sheet as bytes: a number per entry, each as wide as the largest one needs.
//!
//! The first byte is the width: 1, 2, 4 or 8 bytes per number, little-endian; or 0, then one number of eight bytes stands
//! for all entries.

use crate::storage::{StorageError, StorageResult};

/// Does the same with every width, `$value` being what gives the number at a place: the width is looked at once.
macro_rules! by_width {
    ($packed:expr, |$value:ident| $body:expr) => {
        match $packed {
            Packed::Same(value, _) => {
                let $value = |_: u32| value;
                $body
            }
            Packed::One(data) => {
                let $value = |place: u32| u64::from(data[place as usize]);
                $body
            }
            Packed::Two(data) => {
                let $value = |place: u32| u64::from(u16::from_le_bytes(data[place as usize]));
                $body
            }
            Packed::Four(data) => {
                let $value = |place: u32| u64::from(u32::from_le_bytes(data[place as usize]));
                $body
            }
            Packed::Eight(data) => {
                let $value = |place: u32| u64::from_le_bytes(data[place as usize]);
                $body
            }
        }
    };
}

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
    let packed = Packed::new(bytes, entries)?;
    Ok(by_width!(packed, |value| (0..entries as u32).map(value).collect()))
}

fn damaged() -> StorageError {
    StorageError::Unreadable("a column of a sheet".to_owned())
}

/// A column as its bytes: a number is unpacked when it is asked for, so that few of many cost little.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packed<'a> {
    Same(u64, usize),
    One(&'a [u8]),
    Two(&'a [[u8; 2]]),
    Four(&'a [[u8; 4]]),
    Eight(&'a [[u8; 8]]),
}

impl<'a> Packed<'a> {
    /// The column that `bytes` are, which must have so many entries.
    pub(super) fn new(bytes: &'a [u8], entries: usize) -> StorageResult<Self> {
        let (width, data) = bytes.split_first().ok_or_else(damaged)?;
        let width = usize::from(*width);
        if data.len() != if width == 0 { 8 } else { width.saturating_mul(entries) } {
            return Err(damaged());
        }
        Ok(match width {
            0 => Self::Same(data.try_into().map(u64::from_le_bytes).map_err(|_| damaged())?, entries),
            1 => Self::One(data),
            2 => Self::Two(data.as_chunks().0),
            4 => Self::Four(data.as_chunks().0),
            8 => Self::Eight(data.as_chunks().0),
            _ => return Err(damaged()),
        })
    }

    fn entries(self) -> usize {
        match self {
            Self::Same(_, entries) => entries,
            Self::One(data) => data.len(),
            Self::Two(data) => data.len(),
            Self::Four(data) => data.len(),
            Self::Eight(data) => data.len(),
        }
    }

    /// Puts the numbers at some places into `values`, in the place of what was there.
    pub(super) fn unpack(self, places: &[u32], values: &mut Vec<u64>) {
        values.clear();
        by_width!(self, |value| values.extend(places.iter().map(|place| value(*place))));
    }

    /// Keeps the places whose numbers are such.
    pub(super) fn retain(self, places: &mut Vec<u32>, are: impl Fn(u64) -> bool) {
        // Every place is written, and the next one over it if it is not to stay: no branch that could be foreseen wrongly.
        let mut kept = 0;
        by_width!(self, |value| for at in 0..places.len() {
            let place = places[at];
            places[kept] = place;
            kept += usize::from(are(value(place)));
        });
        places.truncate(kept);
    }

    /// The first place with this number or a larger one; the column is sorted.
    pub(super) fn first_from(self, least: u64) -> u32 {
        let (mut low, mut high) = (0, self.entries() as u32);
        by_width!(self, |value| while low < high {
            let middle = low + (high - low) / 2;
            if value(middle) < least {
                low = middle + 1;
            } else {
                high = middle;
            }
        });
        low
    }
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

    #[test]
    fn numbers_of_every_width_are_found_where_they_are() {
        for most in [9, 255, 256, 70_000, u64::MAX] {
            let values = [0, 3, 3, 7, most];
            let encoded = encode(&values);
            let packed = Packed::new(&encoded, values.len()).unwrap();
            let mut places = vec![0, 2, 3, 4];
            packed.retain(&mut places, |value| value != 7);
            assert_eq!(places, [0, 2, 4], "{most}");
            let mut unpacked = vec![1; 9];
            packed.unpack(&places, &mut unpacked);
            assert_eq!(unpacked, [0, 3, most]);
            assert_eq!([0, 3, 4, most].map(|least| packed.first_from(least)), [0, 1, 3, 4]);
        }
        let same = encode(&[5; 3]);
        let same = Packed::new(&same, 3).unwrap();
        assert_eq!([5, 6].map(|least| same.first_from(least)), [0, 3]);
    }
}
