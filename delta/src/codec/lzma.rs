//! The only file that knows LZMA.

use std::io::{self, Read, Write};

use lzma_rust2::{EncodeMode, LzmaOptions, LzmaReader, LzmaWriter, MfType};

use super::Section;
use crate::error::Reason;

/// Literal context, literal position and position bits worth trying: text and code, words of four bytes, bytes alone.
const SETTINGS: [Setting; 3] = [Setting::new(3, 0, 2), Setting::new(0, 2, 2), Setting::new(4, 0, 0)];
/// Streams below this size are too small for a choice of settings to matter.
const CHOICE_BYTES_MIN: usize = 256;
/// Streams beyond this size are packed with the first setting only: time matters more.
const CHOICE_BYTES_MAX: usize = 4 << 20;
/// Smallest dictionary (LZMA's own bound).
const DICTIONARY_LOG_MIN: u32 = 12;

#[derive(Clone, Copy)]
struct Setting {
    literal_context: u32,
    literal_position: u32,
    position: u32,
}

impl Setting {
    const fn new(literal_context: u32, literal_position: u32, position: u32) -> Self {
        Self { literal_context, literal_position, position }
    }

    /// As in the first byte of an LZMA file.
    fn encode(self) -> u8 {
        let number = (self.position * 5 + self.literal_position) * 9 + self.literal_context;
        u8::try_from(number).expect("BUG: settings beyond those of LZMA")
    }

    fn decode(byte: u8) -> Result<Self, Reason> {
        let number = u32::from(byte);
        let found = Self::new(number % 9, number / 9 % 5, number / 45);
        if found.position > 4 || found.literal_context + found.literal_position > 4 {
            return Err(Reason::Malformed("a stream has settings that LZMA does not know"));
        }
        Ok(found)
    }
}

/// The stream packed with each setting that is worth trying.
pub(super) fn pack(raw: &[u8], primer: &[u8], window_log: u32) -> io::Result<Vec<Vec<u8>>> {
    let settings = match raw.len() {
        CHOICE_BYTES_MIN..CHOICE_BYTES_MAX => &SETTINGS[..],
        _ => &SETTINGS[..1],
    };
    settings.iter().map(|setting| pack_with(raw, primer, window_log, *setting)).collect()
}

fn pack_with(raw: &[u8], primer: &[u8], window_log: u32, setting: Setting) -> io::Result<Vec<u8>> {
    let needed = (raw.len() + primer.len()).next_power_of_two().ilog2();
    let dictionary_log = needed.clamp(DICTIONARY_LOG_MIN, window_log);
    let options = LzmaOptions {
        dict_size: 1 << dictionary_log,
        lc: setting.literal_context,
        lp: setting.literal_position,
        pb: setting.position,
        mode: EncodeMode::Normal,
        nice_len: LzmaOptions::NICE_LEN_MAX,
        mf: MfType::Bt4,
        depth_limit: 0,
        preset_dict: (!primer.is_empty()).then(|| primer.to_vec()),
    };
    let log = u8::try_from(dictionary_log).expect("BUG: a window beyond 64 bits");
    let head = vec![setting.encode(), log];
    let mut writer = LzmaWriter::new_no_header(head, &options, false)?;
    writer.write_all(raw)?;
    writer.finish()
}

pub(super) struct LzmaUnpacker<'a>(LzmaReader<Section<'a>>);

impl<'a> LzmaUnpacker<'a> {
    pub(super) fn new(
        mut section: Section<'a>,
        raw_bytes: u64,
        primer: &[u8],
        window_log: u32,
    ) -> Result<Self, Reason> {
        let [setting, log] = section.array()?;
        let setting = Setting::decode(setting)?;
        let log = u32::from(log);
        if !(DICTIONARY_LOG_MIN..=window_log).contains(&log) {
            return Err(Reason::Malformed("a stream needs a larger window than is allowed"));
        }
        let Setting { literal_context, literal_position, position } = setting;
        let primer = (!primer.is_empty()).then_some(primer);
        let reader = LzmaReader::new(
            section,
            raw_bytes,
            literal_context,
            literal_position,
            position,
            1 << log,
            primer,
        );
        reader.map(Self).map_err(Reason::Unpack)
    }
}

impl Read for LzmaUnpacker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
