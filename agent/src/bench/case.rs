//! One situation to measure: how many nodes, how large a blob, who may send how much, and what goes wrong.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Receivers of one case, at most: each is a process and a network namespace.
pub(super) const RECEIVERS_MAX: usize = 200;
/// Bytes of one case's blob, at most.
pub(super) const BYTES_MAX: u64 = 4 << 30;
/// What every node may send a second, unless the case says otherwise.
pub const CAP: u64 = 4 << 20;

/// One situation, written `8x64MiB`, `8x64MiB:publisher=1MiB`, `8x64MiB:kill=2`, `8x64MiB:slow=1` or `1x1GiB:cap=none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    text: String,
    /// Nodes that fetch; the publisher comes on top.
    pub receivers: usize,
    /// Size of the blob.
    pub bytes: u64,
    /// Bytes a second that the kernel lets each receiver send; none for no cap.
    pub cap: Option<u64>,
    /// The same for the publisher.
    pub publisher_cap: Option<u64>,
    /// Receivers, the last ones, that are killed when half of the bound has passed.
    pub killed: usize,
    /// Receivers, the ones before those, that send at a hundredth of the cap and are not waited for.
    pub slowed: usize,
}

impl Case {
    /// Nodes that must finish: neither killed nor slowed.
    #[must_use]
    pub fn judged(&self) -> usize {
        self.receivers - self.killed - self.slowed
    }

    /// What node `number` may send; 0 is the publisher.
    #[must_use]
    pub fn cap_of(&self, number: usize) -> Option<u64> {
        match number {
            0 => self.publisher_cap,
            _ if number > self.judged() && number <= self.judged() + self.slowed => {
                self.cap.map(|cap| (cap / 100).max(1))
            }
            _ => self.cap,
        }
    }

    /// Seconds that no swarm can beat: the publisher must send every byte once, and all together must send every byte
    /// once for each receiver. None without caps. Those killed and slowed are counted as if they were well.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    pub fn bound_seconds(&self) -> Option<f64> {
        let publisher = self.publisher_cap? as f64;
        let all = publisher + self.cap? as f64 * self.receivers as f64;
        let bytes = self.bytes as f64;
        Some((bytes / publisher).max(self.receivers as f64 * bytes / all))
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let head = parts.next().unwrap_or_default();
        let (receivers, bytes) = head
            .split_once(['x', '×'])
            .ok_or_else(|| format!("`{head}` is not receivers and a size, as in 8x64MiB"))?;
        let receivers = number(receivers, 1, RECEIVERS_MAX)?;
        let bytes = size(bytes).filter(|bytes| (1..=BYTES_MAX).contains(bytes));
        let bytes = bytes.ok_or_else(|| format!("`{head}` names no size from 1B to 4GiB"))?;
        let (mut cap, mut publisher, mut killed, mut slowed) = (Some(CAP), None, 0, 0);
        for part in parts {
            match part.split_once('=') {
                Some(("cap", rate)) => cap = rate_of(rate)?,
                Some(("publisher", rate)) => publisher = Some(rate_of(rate)?),
                Some(("kill", count)) => killed = number(count, 0, receivers - 1)?,
                Some(("slow", count)) => slowed = number(count, 0, receivers - 1)?,
                _ => {
                    return Err(format!(
                        "`{part}` is none of cap=RATE, publisher=RATE, kill=COUNT, slow=COUNT"
                    ));
                }
            }
        }
        if killed + slowed >= receivers {
            return Err("nobody is left to be waited for".to_owned());
        }
        let publisher_cap = publisher.unwrap_or(cap);
        Ok(Self { text: text.to_owned(), receivers, bytes, cap, publisher_cap, killed, slowed })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number from {least} to {most}"))
}

fn rate_of(text: &str) -> Result<Option<u64>, String> {
    if text == "none" {
        return Ok(None);
    }
    let rate = size(text).filter(|rate| *rate >= 1024);
    rate.map(Some).ok_or_else(|| format!("`{text}` is neither `none` nor at least 1KiB a second"))
}

/// A number of bytes, written `64MiB`, `256KiB`, `1GiB` or `1000B`.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];
    let (digits, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    digits.parse::<u64>().ok().filter(|digits| *digits <= BYTES_MAX).map(|digits| digits << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        text.parse().unwrap()
    }

    #[test]
    fn a_case_says_who_sends_how_much() {
        let case = case("8x64MiB:publisher=1MiB:kill=1:slow=2");
        assert_eq!((case.receivers, case.bytes, case.judged()), (8, 64 << 20, 5));
        let caps: Vec<_> = [0, 5, 6, 7, 8].iter().map(|number| case.cap_of(*number).unwrap()).collect();
        assert_eq!(caps, [1 << 20, CAP, CAP / 100, CAP / 100, CAP]);
        assert_eq!(case.to_string(), "8x64MiB:publisher=1MiB:kill=1:slow=2");
    }

    #[test]
    fn the_bound_is_the_publishers_or_that_of_all_together() {
        assert_eq!(case("8x64MiB").bound_seconds(), Some(16.0));
        assert_eq!(case("8x64MiB:publisher=1MiB").bound_seconds(), Some(64.0));
        assert_eq!(case("3x12MiB:publisher=16MiB:cap=2MiB").bound_seconds(), Some(36.0 / 22.0));
        assert_eq!(case("1x1GiB:cap=none").bound_seconds(), None);
    }

    #[test]
    fn what_is_no_case_is_refused_in_words() {
        for bad in [
            "",
            "8",
            "0x1MiB",
            "8x",
            "8x5GiB",
            "8x1MiB:slow=8",
            "8x1MiB:kill=4:slow=4",
            "8x1MiB:cap=1",
            "8x1MiB:z=1",
        ] {
            assert!(bad.parse::<Case>().is_err(), "{bad}");
        }
    }
}
