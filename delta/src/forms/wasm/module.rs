//! What a module consists of, step by step. A step is short, so that whoever takes them can stop after each.

use super::instructions::{LIST_MAX, Seen, instruction, value_type};
use super::tape::{Body, Kind, Tape};

/// Most bytes of one body that is opened.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a name: what browsers take.
const NAME_BYTES_MAX: u32 = 100_000;
/// Most instructions of an expression outside of bodies.
const EXPRESSION_MAX: u32 = 1 << 10;
/// Most declarations of locals of one body.
const DECLARATIONS_MAX: u32 = LIST_MAX;
/// Bytes that are copied in one step.
const PIECE_BYTES: u32 = 1 << 10;
/// Instructions that are taken in one step, with those that are copied before each.
const STEP_INSTRUCTIONS: u32 = 32;
const PREAMBLE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// How far a module has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Module {
    place: Place,
    /// Steps left in the list of the section.
    left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Beginning,
    /// Before a section, or at the end.
    Section,
    End,
    /// In a section without fields.
    Raw {
        bytes: u32,
    },
    /// In a list of things.
    List(List),
    /// In the functions or expressions of an element segment.
    Elements {
        elements: u32,
        expressions: bool,
    },
    /// In the bytes of a data segment.
    Data {
        bytes: u32,
        address: u32,
    },
    /// Between a body's instructions.
    Instructions {
        depth: u32,
    },
    /// In a body that is left as it is.
    RawBody {
        bytes: u32,
    },
    /// In the custom section of names: its bytes left.
    Names {
        bytes: u32,
    },
    /// In one list of names: how many are left, the index before, the bytes left after the list.
    Name {
        names: u32,
        before: u32,
        bytes: u32,
    },
    /// In a list of lists of names: the same, and for the inner list, how many are left and the index before.
    InnerName(InnerName),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InnerName {
    lists: u32,
    before: u32,
    names: u32,
    inner: u32,
    bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Imports,
    Functions,
    Globals,
    Exports,
    Elements,
    Bodies,
    Data,
}

impl Module {
    pub(super) fn new() -> Self {
        Self { place: Place::Beginning, left: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.place == Place::End
    }

    /// A number that no other body of the module has, while in a body.
    pub(super) fn body(&self) -> u32 {
        self.left
    }

    /// The body is left as it is: so many bytes follow.
    pub(super) fn leave_body(&mut self, bytes: u32) {
        self.place = Place::RawBody { bytes };
    }

    /// Takes the next step. Nothing: this is no module.
    pub(super) fn step<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        tape.more();
        match self.place {
            Place::Beginning => self.beginning(tape),
            Place::Section => self.section(tape),
            Place::End => None,
            Place::Raw { bytes } => self.raw(tape, bytes),
            Place::List(_) if self.left == 0 => self.end_section(tape),
            Place::List(list) => self.thing(tape, list),
            Place::Elements { elements, expressions } => self.elements(tape, elements, expressions),
            Place::Data { bytes, address } => self.data(tape, bytes, address),
            Place::Instructions { depth } => self.instructions(tape, depth),
            Place::RawBody { bytes } => self.raw_body(tape, bytes),
            Place::Names { bytes } => self.names(tape, bytes),
            Place::Name { names, before, bytes } => self.name(tape, names, before, bytes),
            Place::InnerName(at) => self.inner_name(tape, at),
        }
    }

    fn beginning<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        for expected in PREAMBLE {
            (tape.byte()? == expected).then_some(())?;
        }
        self.place = Place::Section;
        Some(())
    }

    fn section<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        if tape.is_at_end() {
            self.place = Place::End;
            return Some(());
        }
        let id = tape.byte()?;
        let bytes = tape.section_size()?;
        let list = match id {
            0 => return self.custom(tape, bytes),
            2 => List::Imports,
            3 => List::Functions,
            6 => List::Globals,
            7 => List::Exports,
            8 => {
                tape.field(Kind::Function, 0)?;
                return self.end_section(tape);
            }
            9 => List::Elements,
            10 => List::Bodies,
            11 => List::Data,
            _ => {
                self.place = Place::Raw { bytes };
                return Some(());
            }
        };
        self.left = tape.field(Kind::Plain, 0)?;
        self.place = Place::List(list);
        Some(())
    }

    fn end_section<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        self.place = Place::Section;
        tape.end_section()
    }

    fn raw<T: Tape>(&mut self, tape: &mut T, bytes: u32) -> Option<()> {
        let piece = bytes.min(PIECE_BYTES);
        tape.bytes(piece)?;
        self.place = Place::Raw { bytes: bytes - piece };
        if bytes == piece { self.end_section(tape) } else { Some(()) }
    }

    fn thing<T: Tape>(&mut self, tape: &mut T, list: List) -> Option<()> {
        self.left -= 1;
        match list {
            List::Imports => import(tape),
            List::Functions => tape.field(Kind::Type, 0).map(drop),
            List::Globals => global(tape),
            List::Exports => export(tape),
            List::Elements => self.element_segment(tape),
            List::Bodies => self.begin_body(tape),
            List::Data => self.data_segment(tape),
        }
    }

    fn element_segment<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        let (flags, _) = tape.number().filter(|(flags, _)| *flags < 8)?;
        let (active, explicit, expressions) = (flags & 1 == 0, flags & 2 != 0, flags & 4 != 0);
        if active {
            if explicit {
                tape.number()?;
            }
            expression(tape)?;
        }
        if !active || explicit {
            value_type(tape)?;
        }
        let elements = tape.field(Kind::Plain, 0)?;
        self.place = Place::Elements { elements, expressions };
        Some(())
    }

    fn elements<T: Tape>(&mut self, tape: &mut T, elements: u32, expressions: bool) -> Option<()> {
        let Some(elements) = elements.checked_sub(1) else {
            self.place = Place::List(List::Elements);
            return Some(());
        };
        if expressions {
            expression(tape)?;
        } else {
            tape.field(Kind::Function, 0)?;
        }
        self.place = Place::Elements { elements, expressions };
        Some(())
    }

    fn data_segment<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        let (flags, _) = tape.number().filter(|(flags, _)| *flags < 3)?;
        if flags == 2 {
            tape.number()?;
        }
        let address = if flags == 1 { 0 } else { expression(tape)? };
        let bytes = tape.field(Kind::Plain, 0)?;
        self.place = Place::Data { bytes, address };
        Some(())
    }

    fn data<T: Tape>(&mut self, tape: &mut T, bytes: u32, address: u32) -> Option<()> {
        // Pieces end at whole words.
        let piece = bytes.min(PIECE_BYTES - address % 4);
        tape.data(piece, address)?;
        self.place = match bytes - piece {
            0 => Place::List(List::Data),
            bytes => Place::Data { bytes, address: address.wrapping_add(piece) },
        };
        Some(())
    }

    fn begin_body<T: Tape>(&mut self, tape: &mut T) -> Option<()> {
        self.place = match tape.begin_body()? {
            Body::Raw(bytes) => Place::RawBody { bytes },
            Body::Open => Place::Instructions { depth: u32::MAX },
        };
        Some(())
    }

    fn raw_body<T: Tape>(&mut self, tape: &mut T, bytes: u32) -> Option<()> {
        let piece = bytes.min(PIECE_BYTES);
        tape.bytes(piece)?;
        self.place = match bytes - piece {
            0 => Place::List(List::Bodies),
            bytes => Place::RawBody { bytes },
        };
        Some(())
    }

    fn instructions<T: Tape>(&mut self, tape: &mut T, depth: u32) -> Option<()> {
        let mut depth = if depth == u32::MAX {
            declarations(tape)?;
            0
        } else {
            depth
        };
        for _ in 0..STEP_INSTRUCTIONS {
            tape.more();
            tape.copied_instructions();
            match instruction(tape, &mut depth)? {
                Seen::End => {
                    self.place = Place::List(List::Bodies);
                    return tape.end_body();
                }
                Seen::List => break,
                Seen::Constant(_) | Seen::Other => {}
            }
        }
        self.place = Place::Instructions { depth };
        Some(())
    }

    fn custom<T: Tape>(&mut self, tape: &mut T, bytes: u32) -> Option<()> {
        let (length, encoding) = tape.number()?;
        let bytes = bytes.checked_sub(encoding)?.checked_sub(length)?;
        const NAME: [u8; 4] = *b"name";
        let mut is_name = length == 4;
        if is_name {
            for expected in NAME {
                is_name &= tape.byte()? == expected;
            }
        } else {
            tape.bytes((length <= NAME_BYTES_MAX).then_some(length)?)?;
        }
        self.place = if is_name { Place::Names { bytes } } else { Place::Raw { bytes } };
        Some(())
    }

    fn names<T: Tape>(&mut self, tape: &mut T, bytes: u32) -> Option<()> {
        if bytes == 0 {
            return self.end_section(tape);
        }
        let id = tape.byte()?;
        let (size, encoding) = tape.number()?;
        let bytes = bytes.checked_sub(1)?.checked_sub(encoding)?.checked_sub(size)?;
        self.place = match id {
            1 | 4..=9 | 11 => Place::Name { names: tape.field(Kind::Plain, 0)?, before: u32::MAX, bytes },
            2 | 3 | 10 => {
                let lists = tape.field(Kind::Plain, 0)?;
                Place::InnerName(InnerName { lists, before: u32::MAX, names: 0, inner: 0, bytes })
            }
            _ => {
                tape.bytes((size <= NAME_BYTES_MAX).then_some(size)?)?;
                Place::Names { bytes }
            }
        };
        Some(())
    }

    fn name<T: Tape>(&mut self, tape: &mut T, names: u32, before: u32, bytes: u32) -> Option<()> {
        self.place = match names.checked_sub(1) {
            None => Place::Names { bytes },
            Some(names) => {
                let before = tape.field(Kind::Plain, before.wrapping_add(1))?;
                name(tape)?;
                Place::Name { names, before, bytes }
            }
        };
        Some(())
    }

    fn inner_name<T: Tape>(&mut self, tape: &mut T, at: InnerName) -> Option<()> {
        let InnerName { lists, before, names, inner, bytes } = at;
        self.place = if let Some(names) = names.checked_sub(1) {
            let inner = tape.field(Kind::Plain, inner.wrapping_add(1))?;
            name(tape)?;
            Place::InnerName(InnerName { lists, before, names, inner, bytes })
        } else if let Some(lists) = lists.checked_sub(1) {
            let before = tape.field(Kind::Plain, before.wrapping_add(1))?;
            let names = tape.field(Kind::Plain, 0)?;
            Place::InnerName(InnerName { lists, before, names, inner: u32::MAX, bytes })
        } else {
            Place::Names { bytes }
        };
        Some(())
    }
}

fn name<T: Tape>(tape: &mut T) -> Option<()> {
    tape.more();
    let (length, _) = tape.number()?;
    tape.bytes((length <= NAME_BYTES_MAX).then_some(length)?)
}

fn import<T: Tape>(tape: &mut T) -> Option<()> {
    name(tape)?;
    name(tape)?;
    tape.more();
    match tape.byte()? {
        0 => _ = tape.field(Kind::Type, 0)?,
        1 => {
            value_type(tape)?;
            limits(tape)?;
        }
        2 => limits(tape)?,
        3 => {
            value_type(tape)?;
            tape.byte()?;
        }
        4 => {
            tape.byte()?;
            tape.field(Kind::Type, 0)?;
        }
        _ => return None,
    }
    Some(())
}

fn limits<T: Tape>(tape: &mut T) -> Option<()> {
    let flags = tape.byte().filter(|flags| *flags < 16)?;
    tape.any_number()?;
    if flags & 1 != 0 {
        tape.any_number()?;
    }
    if flags & 8 != 0 {
        tape.any_number()?;
    }
    Some(())
}

fn global<T: Tape>(tape: &mut T) -> Option<()> {
    value_type(tape)?;
    tape.byte()?;
    expression(tape).map(drop)
}

fn export<T: Tape>(tape: &mut T) -> Option<()> {
    name(tape)?;
    tape.more();
    let kind = match tape.byte()? {
        0 => Kind::Function,
        3 => Kind::Global,
        _ => Kind::Plain,
    };
    tape.field(kind, 0).map(drop)
}

/// An expression outside of bodies. Returns its first number.
fn expression<T: Tape>(tape: &mut T) -> Option<u32> {
    let mut depth = 0;
    let mut first = None;
    for _ in 0..EXPRESSION_MAX {
        match instruction(tape, &mut depth)? {
            Seen::Constant(value) => first = first.or(Some(value)),
            Seen::End => {
                tape.more();
                return Some(first.unwrap_or(0));
            }
            Seen::List => return None,
            Seen::Other => {}
        }
    }
    None
}

/// What a body begins with: how many locals of which types it has.
fn declarations<T: Tape>(tape: &mut T) -> Option<()> {
    let (count, _) = tape.number()?;
    for _ in 0..(count <= DECLARATIONS_MAX).then_some(count)? {
        tape.more();
        tape.number()?;
        value_type(tape)?;
    }
    Some(())
}
