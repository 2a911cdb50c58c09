//! How much of the line the agent may take, and when: caps, per link and by the time of day, and what others leave.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use crate::transfer::Caps;

/// Windows of a schedule, at most.
const WINDOWS_MAX: usize = 64;
const MINUTES_A_DAY: usize = 24 * 60;
const MINUTES_A_WEEK: usize = 7 * MINUTES_A_DAY;
/// Less than this carries no piece in a minute, so that peers give up.
const RATE_MIN: u64 = 2_000;

/// The caps, at every minute of the week.
#[derive(Clone, Debug, Default)]
pub struct TransferConfig {
    usual: Caps,
    windows: Vec<Window>,
    /// The window of each minute from Monday on; empty without windows.
    minutes: Vec<Option<u8>>,
    zone: Option<TimeZone>,
    yields: Option<Yields>,
}

/// Other programs of the machine come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yields {
    /// The interface whose traffic counts; none for the one by which the machine reaches everywhere.
    pub interface: Option<String>,
}

/// `[transfer]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TransferFile {
    upload: Option<Rate>,
    download: Option<Rate>,
    link_upload: Option<Rate>,
    yield_to_others: bool,
    interface: Option<String>,
    clock: ScheduleClock,
    schedule: Vec<Window>,
}

/// Which clock a schedule goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScheduleClock {
    /// The machine's own zone.
    #[default]
    Local,
    Utc,
}

/// Caps of their own between two times of the day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    from: DayTime,
    /// Not included. Before `from`: on the next day.
    to: DayTime,
    #[serde(default)]
    days: Vec<Day>,
    upload: Option<Rate>,
    download: Option<Rate>,
    link_upload: Option<Rate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const DAYS: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

/// Bytes per second; none for `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate(Option<u64>);

/// Minutes since midnight, up to 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DayTime(usize);

impl TransferConfig {
    /// Caps that hold at all times.
    pub fn always(caps: Caps) -> Self {
        Self { usual: caps, ..Self::default() }
    }

    /// Whether other programs come first, and on which line.
    pub fn yields(&self) -> Option<&Yields> {
        self.yields.as_ref()
    }

    pub(super) fn check(file: TransferFile) -> Result<Self, String> {
        let yields = match (file.yield_to_others, file.interface.clone()) {
            (true, interface) => Some(Yields { interface }),
            (false, None) => None,
            (false, Some(interface)) => {
                return Err(format!(
                    "transfer.interface = \"{interface}\" says where to look for others' traffic, but nothing yields to \
                     it: say yield_to_others = true, or leave it out"
                ));
            }
        };
        Self::check_caps(file).map(|caps| Self { yields, ..caps })
    }

    fn check_caps(file: TransferFile) -> Result<Self, String> {
        let usual = Caps {
            upload_bytes_per_second: file.upload.and_then(|rate| rate.0),
            download_bytes_per_second: file.download.and_then(|rate| rate.0),
            link_upload_bytes_per_second: file.link_upload.and_then(|rate| rate.0),
        };
        if file.schedule.is_empty() {
            return Ok(Self::always(usual));
        }
        if file.schedule.len() > WINDOWS_MAX {
            let count = file.schedule.len();
            return Err(format!("transfer.schedule has {count} windows; {WINDOWS_MAX} are the most"));
        }
        let mut minutes: Vec<Option<u8>> = vec![None; MINUTES_A_WEEK];
        for (number, window) in (0_u8..).zip(&file.schedule) {
            window.check()?;
            for minute in window.minutes() {
                if let Some(other) = minutes[minute].replace(number) {
                    let other = &file.schedule[usize::from(other)];
                    let at = DayTime(minute % MINUTES_A_DAY);
                    return Err(format!(
                        "transfer.schedule: the windows {other} and {window} overlap at {at}: let one end where the \
                         other begins"
                    ));
                }
            }
        }
        let zone = match file.clock {
            ScheduleClock::Utc => TimeZone::UTC,
            ScheduleClock::Local => TimeZone::try_system().map_err(|error| {
                format!("the machine's time zone is not known ({error}): say transfer.clock = \"utc\"")
            })?,
        };
        Ok(Self { usual, windows: file.schedule, minutes, zone: Some(zone), yields: None })
    }

    /// The caps at a moment, in milliseconds since 1970-01-01 UTC.
    pub fn caps_at(&self, unix_ms: u64) -> Caps {
        let Some(window) = self.window_at(unix_ms) else { return self.usual };
        let over = |rate: Option<Rate>, usual: Option<u64>| rate.map_or(usual, |rate| rate.0);
        Caps {
            upload_bytes_per_second: over(window.upload, self.usual.upload_bytes_per_second),
            download_bytes_per_second: over(window.download, self.usual.download_bytes_per_second),
            link_upload_bytes_per_second: over(window.link_upload, self.usual.link_upload_bytes_per_second),
        }
    }

    fn window_at(&self, unix_ms: u64) -> Option<&Window> {
        let zone = self.zone.clone()?;
        let moment = Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?.to_zoned(zone);
        let day = usize::try_from(moment.weekday().to_monday_zero_offset()).ok()?;
        let hour = usize::try_from(moment.hour()).ok()?;
        let minute = usize::try_from(moment.minute()).ok()?;
        let of_week = day * MINUTES_A_DAY + hour * 60 + minute;
        self.windows.get(usize::from((*self.minutes.get(of_week)?)?))
    }
}

impl Window {
    fn check(&self) -> Result<(), String> {
        if self.from == self.to {
            return Err(format!(
                "transfer.schedule: the window {self} is empty; a whole day is from 00:00 to 24:00"
            ));
        }
        if self.from.0 >= MINUTES_A_DAY {
            return Err(format!("transfer.schedule: the window {self} begins at 24:00: say 00:00"));
        }
        if self.upload.is_none() && self.download.is_none() && self.link_upload.is_none() {
            return Err(format!(
                "transfer.schedule: the window {self} sets nothing: give it upload, download or link_upload"
            ));
        }
        Ok(())
    }

    /// Minutes of the week that it covers, from Monday on.
    fn minutes(&self) -> impl Iterator<Item = usize> {
        let length = match self.to.0.checked_sub(self.from.0) {
            Some(length) => length,
            None => self.to.0 + MINUTES_A_DAY - self.from.0,
        };
        let from = self.from.0;
        let begins = move |day: usize| day * MINUTES_A_DAY + from;
        let days: Vec<usize> = (0..7).filter(|day| self.is_on(*day)).collect();
        days.into_iter()
            .flat_map(move |day| (begins(day)..begins(day) + length).map(|minute| minute % MINUTES_A_WEEK))
    }

    fn is_on(&self, day: usize) -> bool {
        self.days.is_empty() || DAYS.get(day).is_some_and(|day| self.days.contains(day))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

impl fmt::Display for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for DayTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<usize>().ok()).flatten()
        };
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
        match parts {
            Some((hour, minute)) if minute < 60 && (hour < 24 || (hour, minute) == (24, 0)) => {
                Ok(Self(hour * 60 + minute))
            }
            _ => Err(format!("`{text}` is no time of the day: write it like `08:00`, from 00:00 to 24:00")),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "unlimited" {
            return Ok(Self(None));
        }
        let wrong = || {
            format!("`{text}` is no rate: write it like `2 MB/s`, `256 KiB/s`, `10 Mbit/s`, or `unlimited`")
        };
        let amount = text.trim().strip_suffix("/s").ok_or_else(wrong)?.trim_end();
        let digits = amount.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = amount.split_at(digits);
        let (bytes, of) = match unit.trim() {
            "B" => (1, 1),
            "kB" | "KB" => (1_000, 1),
            "KiB" => (1 << 10, 1),
            "MB" => (1_000_000, 1),
            "MiB" => (1 << 20, 1),
            "GB" => (1_000_000_000, 1),
            "GiB" => (1 << 30, 1),
            "kbit" => (1_000, 8),
            "Mbit" => (1_000_000, 8),
            "Gbit" => (1_000_000_000, 8),
            _ => return Err(wrong()),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || whole.len() > 9 || part.len() > 3 || number.ends_with('.') {
            return Err(wrong());
        }
        let thousandths: u64 = format!("{whole}{part:0<3}").parse().map_err(|_| wrong())?;
        let rate = u128::from(thousandths) * bytes / 1000 / of;
        match u64::try_from(rate) {
            Ok(rate) if rate >= RATE_MIN => Ok(Self(Some(rate))),
            _ => Err(format!(
                "`{text}` is too little: 2 kB/s is the least that carries anything in time; `unlimited` is no cap"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for DayTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TransferConfig, String> {
        let file: TransferFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        TransferConfig::check(file)
    }

    /// A moment of the week that began on Monday, 1 January 2024, in UTC.
    fn at(day: u64, hour: u64, minute: u64) -> u64 {
        1_704_067_200_000 + ((day * 24 + hour) * 60 + minute) * 60_000
    }

    #[test]
    fn rates_are_read_in_the_units_that_people_write() {
        for (text, rate) in [
            ("2 MB/s", Some(2_000_000)),
            ("2MB/s", Some(2_000_000)),
            ("16 KiB/s", Some(16_384)),
            ("256 KB/s", Some(256_000)),
            ("1.5 MiB/s", Some(1_572_864)),
            ("10 Mbit/s", Some(1_250_000)),
            ("unlimited", None),
        ] {
            assert_eq!(text.parse(), Ok(Rate(rate)), "{text}");
        }
        for text in
            ["", "2", "2 MB", "MB/s", "2 MBps", "-1 MB/s", "1.2345 MB/s", "2. MB/s", "0 MB/s", "1 B/s"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn windows_hold_from_their_first_minute_to_the_one_before_their_end() {
        let config = read(
            "upload = '2 MB/s'\nlink_upload = '1 MB/s'\nclock = 'utc'\n\
             schedule = [{ from = '08:00', to = '18:00', days = ['mon', 'fri'], upload = '256 kB/s' },\n\
             { from = '22:00', to = '06:30', upload = 'unlimited', download = '5 MB/s' }]",
        )
        .expect("valid");
        let upload = |moment| config.caps_at(moment).upload_bytes_per_second;
        for (moment, rate) in [
            (at(0, 7, 59), Some(2_000_000)),
            (at(0, 8, 0), Some(256_000)),
            (at(0, 17, 59), Some(256_000)),
            (at(0, 18, 0), Some(2_000_000)),
            (at(1, 12, 0), Some(2_000_000)),
            (at(4, 12, 0), Some(256_000)),
            (at(4, 23, 0), None),
            (at(5, 6, 29), None),
            (at(5, 6, 30), Some(2_000_000)),
            (at(6, 23, 59), None),
            (at(7, 0, 0), None),
        ] {
            assert_eq!(upload(moment), rate);
        }
        let night = config.caps_at(at(0, 1, 0));
        assert_eq!(night.download_bytes_per_second, Some(5_000_000));
        assert_eq!(night.link_upload_bytes_per_second, Some(1_000_000), "what a window does not name stays");
        assert_eq!(config.caps_at(at(0, 12, 0)).download_bytes_per_second, None);
    }

    #[test]
    fn others_come_first_where_an_operator_says_so() {
        let yields = |text| read(text).expect("valid").yields().cloned();
        assert_eq!(yields("upload = '1 MB/s'"), None);
        assert_eq!(yields("yield_to_others = true"), Some(Yields { interface: None }));
        let named = "yield_to_others = true\ninterface = 'wwan0'\nclock = 'utc'\n\
                     schedule = [{ from = '00:00', to = '24:00', upload = '3 MB/s' }]";
        assert_eq!(yields(named), Some(Yields { interface: Some("wwan0".to_owned()) }));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for (text, words) in [
            ("upload = '2 MBps'", "`2 MBps` is no rate: write it like `2 MB/s`"),
            ("upload = '0 MB/s'", "is too little"),
            (
                "schedule = [{ from = '8:00', to = '18:00', upload = '1 MB/s' }]",
                "`8:00` is no time of the day",
            ),
            ("schedule = [{ from = '08:00', to = '24:01', upload = '1 MB/s' }]", "`24:01` is no time"),
            ("schedule = [{ from = '08:00', to = '08:00', upload = '1 MB/s' }]", "08:00 to 08:00 is empty"),
            ("schedule = [{ from = '08:00', to = '18:00' }]", "08:00 to 18:00 sets nothing"),
            (
                "schedule = [{ from = '08:00', to = '18:00', upload = '1 MB/s' },\n\
                 { from = '17:30', to = '19:00', upload = '1 MB/s' }]",
                "the windows 08:00 to 18:00 and 17:30 to 19:00 overlap at 17:30",
            ),
            (
                "schedule = [{ from = '22:00', to = '06:00', upload = '1 MB/s' },\n\
                 { from = '05:00', to = '07:00', days = ['mon'], upload = '1 MB/s' }]",
                "overlap at 05:00",
            ),
            ("schedule = [{ from = '08:00', to = '18:00', day = 'mon' }]", "unknown field `day`"),
            ("clock = 'berlin'", "unknown variant `berlin`"),
            ("interface = 'eth0'", "nothing yields to it: say yield_to_others = true"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_schedule_goes_by_the_clock_on_the_wall() {
        let summer = "schedule = [{ from = '00:00', to = '24:00', upload = '3 MB/s' }]";
        let config = read(summer).expect("a zone is known, or UTC is");
        assert_eq!(config.caps_at(at(3, 23, 59)).upload_bytes_per_second, Some(3_000_000));
        let mut config =
            read("clock = 'utc'\nschedule = [{ from = '08:00', to = '09:00', upload = '3 MB/s' }]")
                .expect("valid");
        config.zone = Some(TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!(config.caps_at(at(0, 6, 30)).upload_bytes_per_second, Some(3_000_000));
        assert_eq!(config.caps_at(at(0, 8, 30)).upload_bytes_per_second, None);
    }
}
